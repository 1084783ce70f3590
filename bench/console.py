"""``python -m bench.console``: what every page of the console costs, over the books that `bench.console_seed` makes.

Server time is that of the request through all middleware, in this process and without a network: what granian and the
wire add is the same for every page. Pages are found by walking the URL conf, so one that somebody adds is measured.
"""

import argparse
import gzip
import re
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.console_seed import add_options, prepare_django, seed, servers

if TYPE_CHECKING:
    from django.test import Client
    from django.urls import URLPattern, URLResolver

PAGE_MS_MAX: Final = 80
FRAGMENT_MS_MAX: Final = 30
QUERIES_MAX: Final = 8
HTML_KB_MAX: Final = 15
FIRST_VIEW_KB_MAX: Final = 75
_ROUNDS: Final = 20
_STATIC: Final = re.compile(r'(?:href|src)="(/static/[^"?]+)"')
#: The big tenant, whose pages are the slowest.
_SLUG: Final = "tenant-0001"


@dataclass(frozen=True, slots=True)
class Address:
    """One page, or a part of one as htmx asks for it."""

    name: str
    url: str
    is_fragment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times in ms; sizes in bytes as they are sent, compressed. `status` is 200 for a page that can be measured.

    `is_file`: what it answers is saved, not shown; the gates are those of pages.
    """

    address: Address
    status: int
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    queries: int = 0
    html: int = 0
    first_view: int = 0
    is_file: bool = False
    failures: tuple[str, ...] = field(default=())


def addresses(samples: Mapping[str, str]) -> Iterator[Address]:
    """Every address that a reader opens, with something to show; those that take what nobody has are left out."""
    from config.urls_console import urlpatterns  # noqa: PLC0415  after the settings

    for name, route in _walk(urlpatterns, route="/", namespace=""):
        if not route.startswith(("/ops/", "/t/")):
            continue
        arguments = re.findall(r"<(?:[a-z_]+:)?([a-z_]+)>", route)
        if not all(argument in samples for argument in arguments):
            continue
        url = re.sub(r"<(?:[a-z_]+:)?([a-z_]+)>", lambda found: quote(samples[found[1]], safe=""), route)
        yield Address(name, url)


def _walk(patterns: "list[URLPattern | URLResolver]", *, route: str, namespace: str) -> Iterator[tuple[str, str]]:
    from django.urls import URLResolver  # noqa: PLC0415  after the settings

    for pattern in patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route=here, namespace=pattern.namespace or namespace)
        else:
            yield f"{namespace}:{pattern.name}" if namespace else pattern.name or here, here


def samples_of(slug: str) -> dict[str, str]:
    """Something of this tenant's for each argument that an address may take."""
    from django.apps import apps  # noqa: PLC0415  after the settings

    from budgets.models import Budget, Decision, LedgerEntry  # noqa: PLC0415
    from kernel.ids import mint_wire_id  # noqa: PLC0415
    from kernel.tenancy import in_public, in_tenant  # noqa: PLC0415
    from tenants.selectors.directory import tenant_by_slug  # noqa: PLC0415

    line = tenant_by_slug(slug)
    assert line is not None, "Nothing was seeded."
    with in_tenant(line.tag):
        denied = Decision.objects.filter(verdict="DENY").order_by("-at").first()
        budget = Budget.objects.filter(depth=2).order_by("scope_path").first()
        entry = LedgerEntry.objects.order_by("-seq").first()
        key = apps.get_model("keys", "ApiKey").objects.order_by("pk").first()
    with in_public():
        plan = apps.get_model("tenants", "Plan").objects.order_by("code", "-version").first()
    assert denied is not None
    assert budget is not None
    assert entry is not None
    wire_id = mint_wire_id("dec", line.tag, denied.pk)
    found = {
        "slug": slug,
        "wire_id": wire_id,
        "run_id": denied.run_id or "",
        "budget_id": str(budget.pk),
        "seq": str(entry.seq),
    }
    if key is not None:
        found["key_id"] = key.key_id
    if plan is not None:
        found |= {"code": plan.code, "version": str(plan.version)}
    return found


def readers(slug: str) -> "tuple[Client, Client]":
    """The operators' owner, and an owner of the tenant: browsers in which they have signed in."""
    from accounts.models import MemberRole, Membership, OperatorRole, User  # noqa: PLC0415  after the settings
    from accounts.services.operators import create_operator  # noqa: PLC0415
    from kernel.tenancy import in_public  # noqa: PLC0415
    from tenants.selectors.directory import tenant_by_slug  # noqa: PLC0415

    line = tenant_by_slug(slug)
    assert line is not None
    now = datetime.now(UTC)
    people = []
    with in_public():
        for email in ("operator@bench.test", "owner@bench.test"):
            if not User.objects.filter(email=email).exists():
                create_operator(email=email, role=OperatorRole.OWNER, password="the-sluice-opens-at-dawn", now=now)
            people.append(User.objects.get(email=email))
        User.objects.filter(pk=people[1].pk).update(operator_role=None)
        Membership.objects.get_or_create(
            user=people[1], tenant_tag=line.tag, defaults={"role": MemberRole.OWNER, "created_at": now}
        )
        people[1].refresh_from_db()
    return _signed_in(people[0]), _signed_in(people[1])


def _signed_in(user: Any) -> "Client":
    from django.test import Client  # noqa: PLC0415  after the settings

    from accounts.console.gate import SEEN_AT, SIGNED_IN_AT  # noqa: PLC0415
    from accounts.console.second_factor import SECOND_FACTOR_KNOWN  # noqa: PLC0415

    # A page that breaks is one line of the table, and no end to the others.
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    session: Any = browser.session
    session[SIGNED_IN_AT] = session[SEEN_AT] = int(datetime.now(UTC).timestamp())
    # As of an operator with a second factor: their session remembers it after the first page.
    session[SECOND_FACTOR_KNOWN] = True
    session.save()
    return browser


def measure(address: Address, *, ops: "Client", owner: "Client") -> Measured:
    """Ask for the page some times, after once that does not count."""
    from django.db import connection  # noqa: PLC0415  after the settings
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    browser = owner if address.url.startswith("/t/") else ops
    headers = {"HX-Request": "true"} if address.is_fragment else {}
    first = browser.get(address.url, headers=headers)
    body = _body(first)
    if first.status_code != 200:
        return Measured(address=address, status=first.status_code)
    with CaptureQueriesContext(connection) as captured:
        _body(browser.get(address.url, headers=headers))
        # Before the next request, with which the list begins anew. Setting the search path asks for nothing.
        queries = sum(1 for query in captured.captured_queries if not query["sql"].startswith("SET "))
    times = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        _body(browser.get(address.url, headers=headers))
        times.append((time.perf_counter() - begun) * 1000)
    html = len(gzip.compress(body))
    measured = Measured(
        address=address,
        status=200,
        p50_ms=statistics.median(times),
        p95_ms=sorted(times)[int(len(times) * 0.95)],
        queries=queries,
        html=html,
        is_file="attachment" in first.get("Content-Disposition", ""),
        first_view=0 if address.is_fragment else html + _static_bytes(body.decode(errors="replace")),
    )
    return _judged(measured)


def _judged(measured: Measured) -> Measured:
    ms_max = FRAGMENT_MS_MAX if measured.address.is_fragment else PAGE_MS_MAX
    gates = {
        "time": measured.p95_ms > ms_max,
        "queries": measured.queries > QUERIES_MAX,
        "HTML": measured.html > HTML_KB_MAX * 1024,
        "first view": measured.first_view > FIRST_VIEW_KB_MAX * 1024,
    }
    failures = tuple(name for name, is_missed in gates.items() if is_missed)
    return measured if measured.is_file else replace(measured, failures=failures)


def _body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def _static_bytes(html: str) -> int:
    """What a browser that comes for the first time fetches along with the page, compressed where it compresses."""
    from django.contrib.staticfiles import finders  # noqa: PLC0415  after the settings

    whole = 0
    for path in sorted(set(_STATIC.findall(html))):
        found = finders.find(path.removeprefix("/static/"))
        if isinstance(found, str):
            content = Path(found).read_bytes()
            whole += min(len(gzip.compress(content)), len(content))
    return whole


def table_of(results: list[Measured]) -> Table:
    table = Table(title="Console pages", caption="Gates: 80 ms, 30 ms for a fragment; 8 queries; 15 KB; 75 KB")
    for name in ("page", "p50 ms", "p95 ms", "queries", "HTML KB", "first view KB", "gate"):
        table.add_column(name, justify="left" if name in {"page", "gate"} else "right")
    for each in sorted(results, key=lambda each: -each.p95_ms):
        name = f"{each.address.name} (fragment)" if each.address.is_fragment else each.address.name
        if each.status != 200:
            table.add_row(name, "", "", "", "", "", f"answers {each.status}", style="dim")
            continue
        table.add_row(
            name,
            f"{each.p50_ms:.1f}",
            f"{each.p95_ms:.1f}",
            str(each.queries),
            f"{each.html / 1024:.1f}",
            f"{each.first_view / 1024:.1f}" if each.first_view else "",
            "a file" if each.is_file else "missed: " + ", ".join(each.failures) if each.failures else "met",
            style="red" if each.failures else "",
        )
    return table


def run() -> bool:
    """Measure and print; whether every gate was met."""
    from django.conf import settings  # noqa: PLC0415  after the settings

    settings.ALLOWED_HOSTS = ["testserver"]
    ops, owner = readers(_SLUG)
    pages = list(addresses(samples_of(_SLUG)))
    everything = [
        *pages,
        *(Address(page.name, page.url, is_fragment=True) for page in pages if _has_parts(page, ops, owner)),
    ]
    results = [measure(address, ops=ops, owner=owner) for address in track(everything, description="Pages")]
    console = Console(width=140)
    console.print(table_of(results))
    measured = [each for each in results if each.status == 200]
    missed = [each for each in measured if each.failures]
    console.print(f"{len(measured)} measured, {len(missed)} pages missed a gate.")
    return not missed


def _has_parts(page: Address, ops: "Client", owner: "Client") -> bool:
    """Whether htmx is answered with less than the whole page."""
    browser = owner if page.url.startswith("/t/") else ops
    whole = browser.get(page.url)
    part = browser.get(page.url, headers={"HX-Request": "true"})
    return whole.status_code == part.status_code == 200 and len(_body(part)) < len(_body(whole))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench-console", description=__doc__)
    add_options(parser)
    parser.add_argument("--without-seeding", action="store_true", help="Measure over what was seeded before.")
    options = parser.parse_args(arguments)
    begun = datetime.now(UTC)
    prepare_django()
    with servers():
        if not options.without_seeding:
            seed(tenants=options.tenants, entries=options.entries, processes=options.processes)
        is_met = run()
    print(f"{(datetime.now(UTC) - begun) // timedelta(seconds=1)} s.")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

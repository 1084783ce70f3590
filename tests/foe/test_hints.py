"""Whose an answer is follows from the key or the session, and from nothing else that a request says."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.test import override_settings

from accounts.keys.api.rights import RIGHTS
from config.installed import MIDDLEWARES
from kernel.owner import acting_as_owner
from kernel.tenancy import in_public
from tenants.models import Domain
from tests.foe.conftest import Feud
from tests.foe.trying import values_of, whole_shot
from tests.support.console_pages import OWN_BOOKS, ConsolePage, guarded_pages
from tests.support.foe.asking import Said, ask
from tests.support.foe.operations import Operation, Plane, fields_of, operations, parameters_of, takes_body
from tests.support.foe.things import Kind
from tests.support.foe.victim import seen_in
from tests.support.management import Caller
from tests.support.owner import delete_shared

OWN_DOMAIN: Final = "agents.acme.test"
#: Names under which other systems are told the tenant.
NAMES: Final = ("tenant", "tenant_id", "tenant_tag", "tenant_slug", "schema", "schema_name", "slug", "tag", "org_id")
_WORDS: Final = ("Tenant", "Tenant-Id", "Tenant-Slug", "Tenant-Tag", "Tenant-Schema", "Org-Id", "Organization")
HEADERS: Final = (
    *(f"X-{word}" for word in _WORDS),
    *(f"X-Cycles-{word}" for word in _WORDS),
    *(f"X-Watermaster-{word}" for word in _WORDS),
    *("Tenant", "X-Scope-OrgID", "X-User", "X-Remote-User", "Remote-User"),
)
#: Headers by which a proxy tells which host and address were asked for.
HOSTS: Final = {
    "X-Forwarded-Host": OWN_DOMAIN,
    "X-Host": OWN_DOMAIN,
    "X-Original-Host": OWN_DOMAIN,
    "X-Forwarded-Server": OWN_DOMAIN,
    "Forwarded": f"host={OWN_DOMAIN};proto=https",
    "X-Original-URL": "/t/acme/",
    "X-Rewrite-URL": "/t/acme/",
    "X-Forwarded-Prefix": "/t/acme",
    "X-HTTP-Method-Override": "DELETE",
}

reads = [each for each in [*operations(Plane.API), *operations(Plane.CONSOLE)] if each.method == "get"]
bodies = [each for each in [*operations(Plane.API), *operations(Plane.CONSOLE)] if takes_body(each)]
pages = [page for page in guarded_pages() if page.namespace == OWN_BOOKS and len(page.arguments) == 1]


@pytest.fixture(scope="module")
def domain(feud: Feud) -> Iterator[str]:
    """The victim's own host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.ALLOWED_HOSTS", ["*"])
        with acting_as_owner(), in_public():
            made = Domain.objects.create(domain=OWN_DOMAIN, tenant=feud.theirs.tenant, is_primary=True)
        yield made.domain
        delete_shared(Domain.objects.filter(domain=made.domain))


@pytest.fixture(params=list(Plane), scope="class")
def plane(request: pytest.FixtureRequest) -> Iterator[Plane]:
    chosen: Plane = request.param
    if chosen is Plane.CONSOLE:
        yield chosen
    else:
        with override_settings(ROOT_URLCONF="config.urls_api", MIDDLEWARE=MIDDLEWARES["api"]):
            yield chosen


class TestPrograms:
    def test_headers_say_nothing_of_whose_it_is(self, plane: Plane, feud: Feud, domain: str) -> None:
        caller = Caller(token=feud.foe.token)
        learned: list[tuple[str, Any]] = []
        # The name that it gave to a template of its own, for a try.
        secrets = feud.secrets - {feud.theirs[Kind.TEMPLATE_TOO]}
        said_by = {name: said for said in ("acme", feud.theirs.tag) for name in HEADERS} | HOSTS
        for operation in _open_reads(plane):
            path = operation.address(values_of(operation, feud.own))
            plain = _said(caller, path)
            hinted = _said(caller, path, **said_by)
            hosted = _said(caller, path, Host=domain)
            learned += [(operation.id, said.told) for said in (hinted, hosted) if said.told != plain.told]
            learned += [(operation.id, seen) for said in (hinted, hosted) if (seen := seen_in(said.raw, secrets))]

        assert learned == []

    def test_parameters_that_nobody_asked_for_say_nothing_either(self, plane: Plane, feud: Feud) -> None:
        caller, learned = Caller(token=feud.foe.token), []
        for operation in _open_reads(plane):
            path = operation.address(values_of(operation, feud.own))
            hints = "&".join(f"{name}=acme" for name in NAMES if name not in parameters_of(operation))
            plain, hinted = _said(caller, path), _said(caller, f"{path}?{hints}")
            learned += [(operation.id, hinted.told)] if hinted.told != plain.told else []

        assert learned == []

    def test_a_field_that_nobody_asked_for_is_refused(self, plane: Plane, feud: Feud) -> None:
        caller, taken = Caller(token=feud.foe.token), []
        for operation in bodies:
            if operation.plane is not plane or not _is_open(operation):
                continue
            shot = whole_shot(operation, feud.own)
            for name in set(NAMES) - fields_of(operation):
                answer = caller.send(operation.method, shot.path, shot.body | {name: "acme"})
                field = answer.json().get("details", {}).get("field")
                taken += [(operation.id, name)] if (answer.status_code, field) != (400, name) else []

        assert taken == []


class TestPeople:
    @pytest.mark.parametrize("page", pages, ids=lambda page: page.id)
    def test_headers_and_parameters_say_nothing_of_whose_a_page_is(
        self, page: ConsolePage, feud: Feud, domain: str
    ) -> None:
        if page.acts is None or page.acts.see is None:
            pytest.skip("is not looked at")
        address = page.address({"slug": feud.own.tenant.slug})
        headers = {name: said for said in ("acme", feud.theirs.tag) for name in HEADERS} | HOSTS
        # Once before: what a page says one time only is said.
        _seen(feud, address)
        plain = _seen(feud, address)

        assert _seen(feud, address, headers=headers) == plain
        for name in NAMES:
            # A page may say under which address it was asked for.
            hint = f"?{name}=acme"
            assert _seen(feud, address + hint, sent=hint) == plain, name

    def test_anothers_host_opens_neither_tenant(self, feud: Feud, domain: str) -> None:
        for address in ("/t/acme/", "/t/initech/", "/ops/", "/t/nobody/"):
            answer = feud.browser.get(address, headers={"host": domain})

            assert answer.status_code == 404, address
            assert seen_in(answer.content.decode(), feud.secrets) == []


def _open_reads(plane: Plane) -> list[Operation]:
    # What the process counts for whoever runs it goes on while one looks.
    return [each for each in reads if each.plane is plane and _is_open(each) and each.route != "/metrics"]


def _is_open(operation: Operation) -> bool:
    """Whether a tenant's key may do it at all."""
    right = RIGHTS.get((operation.view, operation.method.upper()))
    return operation.plane is Plane.API or (right is not None and right.tenant is not None)


def _said(caller: Caller, path: str, **headers: str) -> Said:
    return ask(lambda: caller.get(path, **headers))


def _seen(feud: Feud, address: str, *, sent: str = "", **more: Any) -> tuple[Any, ...]:
    said = ask(lambda: feud.browser.get(address, **more), sent=[sent])
    # What was blotted out is nothing where nothing was sent; and some links keep what stands behind the address.
    return said.status, re.sub("[?&\N{HORIZONTAL ELLIPSIS}]|amp;", "", str(said.body)), said.headers

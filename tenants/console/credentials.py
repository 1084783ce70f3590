"""`…/credentials/`: where secrets live, whether they can be reached and when they were last handed out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from kernel.across import TENANTS_MAX
from kernel.pages.fragments import wants_fragment
from kernel.tenancy import in_tenant
from tenants.selectors.directory import TenantLine, directory_page
from vault.kinds import MEMBER_BACK_ENDS, OPERATOR_BACK_ENDS, BackEnd
from vault.selectors.references import Health, ReferenceLine, reference_lines, references_across

_SHOWN_MAX: Final = 300
_SHOWN_EACH_MAX: Final = 50
_SEARCH_LENGTH_MAX: Final = 100
_TONES: Final = {Health.GOOD: "good", Health.UNKNOWN: "calm", Health.NOT_SET_UP: "warn", Health.EXPIRED: "calm"}
_REVOKED: Final = ("Revoked", "calm")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRow:
    """One line of a list: what the chip says and in which tone, and whether the place before is still leased.

    `may_rotate`: whoever looks may say where it leads.
    """

    reference: ReferenceLine
    chip: tuple[str, str]
    has_overlap: bool
    may_rotate: bool = True


@page(Act.SEE_CREDENTIALS)
def credential_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The tenant's own. One query."""
    place = place_of(request)
    now = datetime.now(UTC)
    movable = OPERATOR_BACK_ENDS if place.is_ops else MEMBER_BACK_ENDS
    with in_tenant(place.tenant.tag):
        lines = reference_lines(limit=_SHOWN_MAX + 1)
    context = {
        "section": "credentials",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "rows": [_row(line, now=now, movable=movable) for line in lines[:_SHOWN_MAX]],
        "is_cut": len(lines) > _SHOWN_MAX,
    }
    return render(request, "tenants/credential_list.html", context)


@page(Act.SEE_PLATFORM)
def credentials(request: HttpRequest) -> HttpResponse:
    """Across tenants, a page of tenants at a time. Two queries."""
    now = datetime.now(UTC)
    search, tenant, after = (_asked(request, name) for name in ("q", "tenant", "after"))
    health = request.GET.get("health", "")
    health = health if health in Health.values else ""
    found = directory_page(search=tenant, after=after, limit=TENANTS_MAX)
    tenants = [line for line in found.tenants if line.has_books]
    lines = references_across([line.tag for line in tenants], health=health, search=search, limit=_SHOWN_EACH_MAX)
    rows: list[tuple[TenantLine, list[ReferenceRow]]] = [
        (line, [_row(each, now=now) for each in lines[line.tag]]) for line in tenants if line.tag in lines
    ]
    context = {
        "section": "credentials",
        "place": place_of(request),
        "groups": rows,
        "search": search,
        "tenant_search": tenant,
        "health": health,
        "healths": Health.choices,
        "is_filtered": bool(search or tenant or health or after),
        "looked_through": len(found.tenants),
        "next_after": found.next_after,
        "here": reverse("ops:credentials"),
        "shown_each_max": _SHOWN_EACH_MAX,
    }
    return render(request, wants_fragment(request, "tenants/credentials.html", "references"), context)


def _row(line: ReferenceLine, *, now: datetime, movable: frozenset[BackEnd] = OPERATOR_BACK_ENDS) -> ReferenceRow:
    health = line.health_now(now=now)
    return ReferenceRow(
        reference=line,
        chip=_REVOKED if line.is_revoked else (health.label, _TONES.get(health, "bad")),
        has_overlap=not line.is_revoked and line.previous_until is not None and line.previous_until > now,
        may_rotate=line.back_end in movable,
    )


def _asked(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:_SEARCH_LENGTH_MAX]

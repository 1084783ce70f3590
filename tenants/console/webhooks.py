"""`…/webhooks/`: the outbox, to be looked at: what others must be told, waiting or delivered."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from kernel.pages.fragments import wants_fragment
from kernel.tenancy import in_public, in_tenant
from telemetry.selectors.outbox import WAITING_COUNTED_MAX, event_page, waiting_count

_LINES_PER_PAGE: Final = 50
_LENGTH_MAX: Final = 100
_STATES: Final = {"waiting": False, "delivered": True}


@page(Act.SEE_BOOKS)
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    more = {"here": place.url("webhooks"), "tenant": place.tenant, "time_zone": place.tenant.time_zone}
    with in_tenant(place.tenant.tag):
        return _list(request, place, more)


@page(Act.SEE_PLATFORM)
def platform_webhooks(request: HttpRequest) -> HttpResponse:
    with in_public():
        return _list(request, place_of(request), {"here": reverse("ops:webhooks")})


def _list(request: HttpRequest, place: Place, more: Mapping[str, Any]) -> HttpResponse:
    """Two queries in the schema that the connection is in."""
    state = request.GET.get("state", "")
    event_type = request.GET.get("type", "").replace("\0", "").strip()[:_LENGTH_MAX]
    found = event_page(
        is_delivered=_STATES.get(state),
        event_type=event_type,
        before=_uuid(request.GET.get("before", "")),
        limit=_LINES_PER_PAGE,
    )
    waiting = waiting_count()
    context = {
        "section": "webhooks",
        "place": place,
        "lines": found.lines,
        "waiting": waiting,
        "is_waiting_cut": waiting >= WAITING_COUNTED_MAX,
        "state": state if state in _STATES else "",
        "event_type": event_type,
        "query": urlencode({name: request.GET[name] for name in ("state", "type") if request.GET.get(name)}),
        "next_before": found.next_before.hex if found.next_before else "",
        "is_filtered": bool(state in _STATES or event_type or "before" in request.GET),
    }
    return render(request, wants_fragment(request, "tenants/webhooks.html", "events"), {**context, **more})


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(hex=text)
    except ValueError:
        return None

"""`alerts/`: what somebody should know of a tenant, and what has become of it."""

from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.alert_rows import alert_rows
from budgets.selectors.alerts import looked_at, open_alerts, past_alerts
from kernel.tenancy import in_tenant

_OPEN_SHOWN: Final = 100
_PER_PAGE: Final = 50


@page(Act.SEE_BOOKS)
def alert_list(request: HttpRequest, slug: str) -> HttpResponse:
    """What is open, the worst first; below it what has ended, page by page."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        still = open_alerts(limit=_OPEN_SHOWN + 1)
        past = past_alerts(before=_uuid(request.GET.get("before", "")), limit=_PER_PAGE)
        looked = looked_at()
    context = alert_context(place) | {
        "open": alert_rows(still[:_OPEN_SHOWN]),
        "is_cut": len(still) > _OPEN_SHOWN,
        "past": alert_rows(past.alerts),
        "next_before": past.next_before,
        "looked_at": looked,
    }
    return render(request, "budgets/alert_list.html", context)


def alert_context(place: Place) -> dict[str, Any]:
    return {
        "section": "alerts" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

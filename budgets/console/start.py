"""`start/`: from nothing to the first decided call; the page sees it come by itself."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.keys.selectors.key_lines import key_lines
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.decision_rows import decision_rows
from budgets.selectors.budget_lines import root_budgets
from budgets.selectors.decisions import recent_decisions
from kernel.tenancy import in_tenant


@page(Act.SEE_BOOKS)
def start(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        budgets = root_budgets()
        keys = key_lines(limit=200)
    now = datetime.now(UTC)
    context = {
        "section": "start" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "budgets": budgets,
        "has_key": any(key.is_usable(now=now) for key in keys),
        "reserve": first_steps.reserve(place.tenant.slug),
        **_seen(place),
    }
    return render(request, "budgets/start.html", context)


@page(Act.SEE_BOOKS)
def start_seen(request: HttpRequest, slug: str) -> HttpResponse:
    """Whether a decision has come: asked every other second until one has."""
    place = place_of(request)
    shared = {"place": place, "tenant": place.tenant, "time_zone": place.tenant.time_zone}
    return render(request, "budgets/start.html#seen", shared | _seen(place))


def _seen(place: Place) -> dict[str, Any]:
    with in_tenant(place.tenant.tag):
        found = recent_decisions(limit=1)
    return {"decisions": decision_rows(place.tenant.tag, found.decisions)}

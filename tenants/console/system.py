"""`/ops/system/`: whether the platform's own parts work."""

from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from kernel.pages.moments import duration_text
from kernel.tenancy import in_public
from telemetry.selectors.outbox import waiting_count
from tenants.selectors.platform_state import queue_state, seconds_since, versions
from tenants.selectors.standing import standing_totals

#: A quiet tenant is not visited, a busy one every minute at least: older than this, somebody should look.
_LAG_WARN_S: Final = 300


@page(Act.SEE_PLATFORM)
def system(request: HttpRequest) -> HttpResponse:
    """Five queries and one trip to Valkey."""
    now = datetime.now(UTC)
    queues, totals = queue_state(), standing_totals(now=now)
    lag_s = seconds_since(totals.oldest_as_of, now=now)
    with in_public():
        waiting = waiting_count()
    context = {
        "section": "system",
        "place": place_of(request),
        "now": now,
        "queues": queues,
        "totals": totals,
        "lag": duration_text(lag_s * 1000) if lag_s is not None else "",
        "is_lagging": lag_s is not None and lag_s > _LAG_WARN_S,
        "unnoted": max(totals.tenants - totals.noted, 0),
        "waiting": waiting,
        "versions": versions(),
    }
    return render(request, "tenants/system.html", context)

"""`/ops/`: what needs attention, from the worker's notes on every tenant."""

from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.attention import banner
from budgets.console.charts import Chart, Series
from budgets.console.standing_rows import runs_out_of, standing_row
from budgets.console.wording import reason_words
from kernel.money import Unit
from kernel.pages.fragments import wants_fragment
from kernel.pages.moments import duration_text
from tenants.selectors.attention import needing_attention
from tenants.selectors.standing import QUARTER, Order, StandingTotals, quarters_until, standing_page, standing_totals

_TENANTS_SHOWN: Final = 15
_BANNERS_SHOWN: Final = 3
_CAUSES_SHOWN: Final = 6
#: A note older than this is not shown as if it were of now.
_STALE_AFTER_S: Final = 180


@page(Act.SEE_PLATFORM)
def overview(request: HttpRequest) -> HttpResponse:
    """Six queries, however many tenants there are. The part `live` is asked for again every five seconds."""
    now = datetime.now(UTC)
    totals = standing_totals(now=now)
    worst = standing_page(now=now, order=Order.RISK, limit=_TENANTS_SHOWN)
    soonest = standing_page(now=now, order=Order.EXHAUSTION, limit=1) if totals.exhausting else None
    attention = needing_attention(now=now, limit=_BANNERS_SHOWN)
    context: dict[str, Any] = {
        "section": "overview",
        "place": place_of(request),
        "now": now,
        "is_paused": "paused" in request.GET,
        "banners": [banner(line, now=now) for line in attention.lines],
        "banners_more": attention.count - len(attention.lines),
        "totals": totals,
        "oldest_hold": duration_text(_minutes_since(totals.oldest_hold_at, now)) if totals.oldest_hold_at else "",
        "next_out": _next_out(soonest.lines[0], now=now) if soonest and soonest.lines else None,
        "causes": [(code, reason_words(code), count) for code, count in totals.causes[:_CAUSES_SHOWN]],
        "time_zone": "UTC",
        "spend": _spend(totals, now=now),
        "spend_highest": max(totals.quarters, default=0),
        "spend_day": sum(totals.quarters),
        "is_stale": totals.oldest_as_of is not None and (now - totals.oldest_as_of).total_seconds() > _STALE_AFTER_S,
        "rows": [standing_row(line, now=now) for line in worst.lines],
        "first_step": first_steps.create_tenant(),
    }
    return render(request, wants_fragment(request, "budgets/overview.html", "live"), context)


def _spend(totals: StandingTotals, *, now: datetime) -> Chart | None:
    """The last 24 hours of all tenants by quarters of an hour; None where nothing was spent."""
    if not any(totals.quarters):
        return None
    until = quarters_until(now)
    count = len(totals.quarters)
    return Chart(
        id="spend",
        title="Spend, last 24 h",
        kind="stack",
        unit=Unit.USD_MICROCENTS,
        series=(Series(1, "all tenants", totals.quarters),),
        starts_at=tuple(until - QUARTER * (count - place) for place in range(count)),
        time_zone="UTC",
        is_by_day=False,
    )


def _next_out(line: Any, *, now: datetime) -> tuple[Any, str] | None:
    return (line.tenant, runs_out_of(line.standing, now=now)[0]) if line.standing else None


def _minutes_since(at: datetime, now: datetime) -> int:
    return max(int((now - at).total_seconds()) // 60, 1) * 60_000

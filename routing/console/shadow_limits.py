"""Limits that the last periods recommend, and how well holds foretell charges: what to know before shadow mode ends."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.wording import path_within_tenant
from budgets.selectors.recommended_limits import COMPARED, Recommendation, TooMuchToRead, recommended_limits
from budgets.selectors.shadow import HoldRatios, hold_ratios
from kernel.pages.exports import csv_response
from kernel.tenancy import in_tenant
from routing.console.acts import asked, wants_csv
from routing.console.shadow_words import DEFAULT_SPAN, SPANS, shadow_frame

#: The period that each budget has.
_OWN: Final = "own"


@page(Act.SEE_LIMITS)
def shadow_limits(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Recommended limits, and how well holds foretell charges: read from the ledger, for seconds at most."""
    place = place_of(request)
    now = datetime.now(UTC)
    wanted = asked(request, "period")
    period = next((each for each in COMPARED if each.value == wanted), None)
    problem = ""
    found: Sequence[Recommendation] = ()
    ratios: HoldRatios | None = None
    if is_read := period is not None or wanted == _OWN:
        with in_tenant(place.tenant.tag):
            try:
                found = recommended_limits(now=now, period=period)
            except TooMuchToRead:
                problem = "There is too much to read at once. Choose a shorter period."
            ratios = hold_ratios(since=now - SPANS[DEFAULT_SPAN], until=now)
    if wants_csv(request):
        heads = (
            *("scope", "unit", "period", "granted", "used_1", "used_2", "used_3", "used_4", "used_now"),
            *("period_p99", "period_limit", "call_p99", "call_limit"),
        )
        rows = (
            (
                *(each.scope_path, each.unit, each.period, each.granted, *(use.used for use in each.periods)),
                each.now.used,
                *(number for limit in (each.a_period, each.a_call) for number in _limit_numbers(limit)),
            )
            for each in found
        )
        return csv_response(f"{slug}-recommended-limits", heads, rows)
    context = shadow_frame(request) | {
        "found": [(each, path_within_tenant(each.scope_path)) for each in found],
        "ratios": [(each, path_within_tenant(each.scope_path)) for each in ratios.ratios] if ratios else [],
        "read_since": ratios.read_since if ratios else None,
        "is_read": is_read,
        "period": wanted if is_read else "",
        "periods": [(_OWN, "Each budget's own"), *((each.value, each.label) for each in COMPARED)],
        "problem": problem,
    }
    return render(request, "routing/shadow_limits.html", context)


def _limit_numbers(limit: Any) -> tuple[object, object]:
    return ("", "") if limit is None else (limit.p99, limit.limit)

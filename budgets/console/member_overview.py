"""`/t/<slug>/`: what a tenant's own people see first. Operators see their summary at the same place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.keys.selectors.key_lines import key_lines
from accounts.roles import Act
from budgets.console.budget_rows import BudgetRow, budget_rows
from budgets.console.siblings import movable_ids, sibling_groups
from budgets.console.tenants import tenant_detail
from budgets.console.trees import tree_of_now
from budgets.console.wording import period_words
from budgets.models.choices import BudgetStatus, Severity
from budgets.selectors.alerts import OpenSummary, open_summary
from budgets.selectors.budget_lines import BudgetLine
from budgets.selectors.denials import Denials, denials
from kernel.money import Unit
from kernel.pages.amounts import counted_text
from kernel.pages.bars import Tone
from kernel.tenancy import in_tenant

_BUDGETS_READ: Final = 500
_NEAR_SHOWN: Final = 8
_DENIED_WITHIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NextStep:
    """Something to do now. `is_act`: it opens in a dialog."""

    words: str
    button: str
    url: str
    is_act: bool = False


@page(Act.SEE_BOOKS)
def books_overview(request: HttpRequest, slug: str) -> HttpResponseBase:
    place = place_of(request)
    return tenant_detail(request, slug) if place.is_ops else _overview(request, place)


def _overview(request: HttpRequest, place: Place) -> HttpResponse:
    now = datetime.now(UTC)
    with in_tenant(place.tenant.tag):
        tree, stale = tree_of_now(now, limit=_BUDGETS_READ)
        denied = denials(since=now - _DENIED_WITHIN)
        alerts = open_summary()
        has_key = any(key.is_usable(now=now) for key in key_lines(limit=50))
    roots = [line for line in tree.lines if line.depth == 0]
    root = next((line for line in roots if line.unit == Unit.USD_MICROCENTS), roots[0] if roots else None)
    rows = budget_rows(tree.lines, stale=stale)
    near = sorted((row for row in rows if _is_near(row)), key=lambda row: row.budget.remaining)[:_NEAR_SHOWN]
    context = {
        "section": "overview",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "now": now,
        "root": root,
        "period": period_words(root.period) if root else "",
        "denied": denied,
        "near": near,
        "steps": _steps(place, tree.lines, near, denied, alerts, has_key=has_key),
    }
    return render(request, "budgets/member_overview.html", context)


def _is_near(row: BudgetRow) -> bool:
    is_worn = row.tone in {Tone.WARN, Tone.BAD}
    return is_worn and row.budget.status != BudgetStatus.CLOSED


def _steps(
    place: Place,
    lines: Sequence[BudgetLine],
    near: Sequence[BudgetRow],
    denied: Denials,
    alerts: OpenSummary,
    *,
    has_key: bool,
) -> list[NextStep]:
    """The likeliest first, and only what the reader may do."""
    steps = []
    if not lines:
        steps.append(NextStep("There is no budget yet: every call is refused.", "Get started", place.url("start")))
    if not has_key and Act.EDIT_KEYS in place.may:
        steps.append(NextStep("No agent has a key that works.", "New key…", place.url("key_new"), is_act=True))
    movable = movable_ids(sibling_groups(lines))
    for row in near[:3]:
        name = f"{row.level} {row.name}"
        words = f"{name} is at its end." if row.tone == Tone.BAD else f"{name} is near its end."
        if row.budget.id in movable and Act.MOVE_MONEY in place.may:
            url = f"{place.url('budget_move')}?into={row.budget.id}"
            steps.append(NextStep(words, f"Move money into {row.name}…", url, is_act=True))
        elif Act.REQUEST_MONEY in place.may:
            url = f"{place.url('request_new')}?for={row.budget.id}"
            steps.append(NextStep(words, "Ask for more…", url, is_act=True))
    if alerts.count and alerts.severity >= Severity.WARNING:
        button = "See the alert" if alerts.count == 1 else f"See {counted_text(alerts.count, 'alert')}"
        steps.append(NextStep(alerts.words, button, place.url("alert_list")))
    if denied.count:
        calls = counted_text(denied.count, "call")
        steps.append(NextStep(f"{calls} refused in the last 60 min.", "See why", place.url("denial_list")))
    return steps

"""`budgets/`: the tenant's tree of budgets, what is free in it, and moving money about. Also as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.budget_rows import budget_rows
from budgets.console.moving import UNDO_WITHIN
from budgets.console.request_rows import request_rows
from budgets.console.siblings import movable_ids, sibling_groups
from budgets.console.trees import by_place, tightest_above, tree_of_now, unallocated
from budgets.console.wording import scope_words
from budgets.selectors.budget_lines import all_budgets
from budgets.selectors.moves import move_line
from budgets.selectors.requests import request_page
from kernel.pages.exports import csv_response
from kernel.pages.typed_amounts import plain_amount
from kernel.tenancy import in_tenant

_BUDGETS_SHOWN: Final = 200
_REQUESTS_SHOWN: Final = 10
_HEADS: Final = (
    "scope",
    "unit",
    "status",
    "allocated",
    "spent",
    "reserved",
    "debt",
    "uncovered",
    "left",
    "overdraft_limit",
    "period",
    "period_ends_at",
)


@page(Act.SEE_BOOKS)
def budget_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    now = datetime.now(UTC)
    with in_tenant(place.tenant.tag):
        tree, stale = tree_of_now(now, limit=_BUDGETS_SHOWN)
        requests = request_page(limit=_REQUESTS_SHOWN)
        moved = _moved(place, request.GET.get("moved", ""), now=now)
    places, movable = by_place(tree.lines), movable_ids(sibling_groups(tree.lines))
    last_of_unit = {line.unit: line.id for line in tree.lines}
    rests = {last_of_unit[rest.unit]: rest for rest in unallocated(tree.lines)} if not tree.is_cut else {}
    context = {
        "section": "budgets" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "rows": [
            (row, _words_above(tightest_above(row.budget, places)), row.budget.id in movable, rests.get(row.budget.id))
            for row in budget_rows(tree.lines, stale=stale)
        ],
        "resets": next((line.period_ends_at for line in tree.lines if line.depth == 0 and line.period_ends_at), None),
        "is_tree_cut": tree.is_cut,
        "is_stale": bool(stale),
        "can_move": bool(movable),
        "moved": moved,
        "requests": request_rows(requests.requests),
        "has_more_requests": requests.next_before is not None,
        "create_budget": first_steps.create_budget(place.tenant.slug) if place.is_ops else "",
    }
    return render(request, "budgets/budget_list.html", context)


@page(Act.EXPORT)
def budget_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """All budgets but those of runs, as they stand."""
    tenant = place_of(request).tenant

    def rows() -> Iterator[tuple[Any, ...]]:
        with in_tenant(tenant.tag):
            lines = all_budgets()
        for line in lines:
            numbers = (line.allocated, line.spent, line.reserved, line.debt, line.uncovered, line.remaining)
            amounts = [plain_amount(number, line.unit) for number in (*numbers, line.overdraft_limit)]
            yield (line.scope_path, line.unit, line.status, *amounts, line.period, line.period_ends_at)

    return csv_response(f"budgets-{tenant.slug}", _HEADS, rows())


def _words_above(budget: Any) -> tuple[str, Any] | None:
    return (scope_words(budget.scope_path), budget) if budget is not None else None


def _moved(place: Place, number: str, *, now: datetime) -> dict[str, Any] | None:
    """The move that was just made, and until when it can be undone; None for anything else."""
    if not (number.isascii() and number.isdigit() and len(number) < 20):
        return None
    line = move_line(int(number))
    if line is None:
        return None
    until = line.at + UNDO_WITHIN
    may_undo = Act.MOVE_MONEY in place.may and not line.is_undone and now < until
    return {
        "line": line,
        "giver": scope_words(line.giver),
        "receiver": scope_words(line.receiver),
        "until": until if may_undo else None,
    }

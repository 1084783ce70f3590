"""The tenant's budgets as they are now, for pages: periods that are over are begun anew first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from budgets.console.tenant_rows import is_due
from budgets.models.choices import BudgetStatus
from budgets.selectors.budget_lines import BudgetLine, BudgetTree, budget_tree
from budgets.services.periods import BooksBusy, open_due_periods
from kernel.money import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Unallocated:
    """What the tenant's own budget has beyond the limits right below it; negative where more is promised."""

    unit: Unit
    amount: int


def tree_of_now(now: datetime, *, limit: int) -> tuple[BudgetTree, list[UUID]]:
    """The tree, and the budgets in it whose new period could not be opened."""
    tree = budget_tree(limit=limit)
    due = [line.id for line in tree.lines if is_due(line, now=now)]
    if not due:
        return tree, []
    try:
        open_due_periods(due)
    except BooksBusy:
        return tree, due
    return budget_tree(limit=limit), []


def tightest_above(budget: BudgetLine, by_place: dict[tuple[str, str], BudgetLine]) -> BudgetLine | None:
    """The ancestor in the same unit with the least left, where that is less than the budget itself has."""
    segments = budget.scope_path.split("/")
    above = [
        found
        for count in range(1, len(segments))
        if (found := by_place.get(("/".join(segments[:count]), budget.unit))) is not None
    ]
    tightest = min(above, key=lambda line: line.remaining, default=None)
    return tightest if tightest is not None and tightest.remaining < budget.remaining else None


def by_place(budgets: Sequence[BudgetLine]) -> dict[tuple[str, str], BudgetLine]:
    """The budgets by scope path and unit."""
    return {(budget.scope_path, str(budget.unit)): budget for budget in budgets}


def unallocated(budgets: Collection[BudgetLine]) -> list[Unallocated]:
    """For each of the tenant's own budgets with others below it, what those were not promised.

    Below a scope without a budget its children count, as they are the next ones that money goes to.
    """
    found = []
    for root in (budget for budget in budgets if budget.depth == 0):
        below = [
            budget
            for budget in budgets
            if budget.depth > 0 and budget.unit == root.unit and budget.status != BudgetStatus.CLOSED
        ]
        paths = {budget.scope_path for budget in below}
        topmost = [budget for budget in below if not _has_ancestor_in(budget.scope_path, paths)]
        if topmost:
            promised = sum(budget.allocated for budget in topmost)
            found.append(Unallocated(unit=root.unit, amount=root.allocated - promised))
    return found


def _has_ancestor_in(path: str, paths: Collection[str]) -> bool:
    segments = path.split("/")
    return any("/".join(segments[:count]) in paths for count in range(2, len(segments)))

"""Budgets as the tree shows them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from budgets.console.wording import BOOKS_BUSY, bar_of, budget_state, period_words
from budgets.selectors.budget_lines import BudgetLine
from kernel.pages.bars import Bar, Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """`indent` counts the budgeted scopes above; `level` and `name` are the two halves of the last segment."""

    budget: BudgetLine
    level: str
    name: str
    indent: int
    period: str
    bar: Bar
    state: str
    tone: Tone


def budget_rows(budgets: Sequence[BudgetLine], *, stale: Collection[UUID] = ()) -> list[BudgetRow]:
    """Rows for budgets in the order of a tree. The `stale` ones show a period that ended."""
    paths = {budget.scope_path for budget in budgets}
    return [_row(budget, paths, is_stale=budget.id in stale) for budget in budgets]


def _row(budget: BudgetLine, paths: set[str], *, is_stale: bool) -> BudgetRow:
    level, _, name = budget.scope.partition(":")
    segments = budget.scope_path.split("/")
    state, tone = BOOKS_BUSY if is_stale else budget_state(budget)
    return BudgetRow(
        budget=budget,
        level=level,
        name=name,
        indent=min(sum("/".join(segments[:count]) in paths for count in range(1, len(segments))), 6),
        period=period_words(budget.period),
        bar=bar_of(budget),
        state=state,
        tone=tone,
    )

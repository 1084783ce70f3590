"""Budgets as the tree shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from budgets.console.wording import bar_of, budget_state, period_words
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


def budget_rows(budgets: Sequence[BudgetLine]) -> list[BudgetRow]:
    """Rows for budgets in the order of a tree."""
    paths = {budget.scope_path for budget in budgets}
    return [_row(budget, paths) for budget in budgets]


def _row(budget: BudgetLine, paths: set[str]) -> BudgetRow:
    level, _, name = budget.scope.partition(":")
    segments = budget.scope_path.split("/")
    state, tone = budget_state(budget)
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

"""A change of plan as the page shows it: limits before and after, money, and what is over at once."""

from dataclasses import dataclass
from typing import Final

from kernel.pages.amounts import amount_text, number_text
from routing.console.limit_words import limit_words, value_words
from routing.services.plan_comparison import OverAtOnce, PlanChange

_BECOMES: Final = {
    "opened": "opened",
    "changed": "changed",
    "kept": "kept: set by hand",
    "made": "made",
    "removed": "removed",
}


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    name: str
    words: str
    before: str
    after: str
    note: str


@dataclass(frozen=True, slots=True)
class ChangeRows:
    """`over` are sentences."""

    limits: tuple[BeforeAfter, ...]
    budgets: tuple[BeforeAfter, ...]
    templates: tuple[BeforeAfter, ...]
    over: tuple[str, ...]


def change_rows(change: PlanChange) -> ChangeRows:
    return ChangeRows(
        limits=tuple(
            BeforeAfter(
                limit.name,
                limit_words(limit.name),
                value_words(limit.before),
                value_words(limit.after),
                limit.after.place if limit.after else "",
            )
            for limit in change.limits
        ),
        budgets=tuple(
            BeforeAfter(
                step.scope,
                step.scope,
                amount_text(step.before, step.unit),
                amount_text(step.after, step.unit),
                f"{_BECOMES[step.kind]}; {amount_text(step.used, step.unit)} used",
            )
            for step in change.money.budgets
        ),
        templates=tuple(
            BeforeAfter(
                step.name,
                step.name,
                "none" if step.before is None else amount_text(step.before, step.unit),
                "none" if step.after is None else amount_text(step.after, step.unit),
                _BECOMES[step.kind],
            )
            for step in change.money.templates
        ),
        over=tuple(map(_over, change.over)),
    )


def _over(over: OverAtOnce) -> str:
    if over.unit:
        # Nothing that is used is taken back, so the budget ends where its use has come.
        return f"{limit_words(over.name)}: {amount_text(over.used, over.unit)} used already, so nothing is left"
    return f"{limit_words(over.name)}: {number_text(over.limit)}, and there are {number_text(over.used)}"

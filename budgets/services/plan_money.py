"""What a change of plan does to the money that the plan gave: worked out once, for the preview and for the change.

The rule, in whole units of the budget: what is left of the period under the old plan is taken back, and what is left of
it under the new plan is granted,

    allocated - old * left / period + new * left / period,

each quotient rounded down, `left` and `period` in microseconds; a budget without periods is exchanged whole. What is
spent, held or owed is never taken: a budget below it is over at once, and has nothing left until its next period.
Money that was moved in or out by hand stays moved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from budgets.models import Budget
from budgets.models.choices import BudgetStatus, Period
from budgets.services.opening import calendar_anchor, period_bounds
from budgets.services.plan_defaults import BudgetDefault, PlanDefaults, scope_of
from budgets.services.proration import share_left
from kernel.money import Unit


class StepKind(StrEnum):
    """KEPT: it was set otherwise by hand, or is closed, and the change leaves it alone."""

    OPENED = "opened"
    CHANGED = "changed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStep:
    """What becomes of one budget; amounts in `unit`. `used` is spent, held and owed."""

    kind: StepKind
    scope: str
    unit: Unit
    before: int
    after: int
    used: int
    period: Period
    starts_at: datetime | None
    ends_at: datetime | None
    anchor: date | None
    granted: BudgetDefault
    is_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Whose books, and the instant from which the new plan counts."""

    slug: str
    time_zone: str
    at: datetime


def budget_steps(
    books: Books, *, old: PlanDefaults | None, new: PlanDefaults, budgets: Sequence[Budget]
) -> Iterator[BudgetStep]:
    """What becomes of the budgets that the new plan gives, in its order.

    `budgets` are those at its scopes, in their present periods; others are no affair of the plan.
    """
    there = {(budget.scope_path, budget.unit): budget for budget in budgets}
    before = {} if old is None else {_key(books, given): given for given in old.budgets}
    for given in new.budgets:
        key = _key(books, given)
        budget = there.get(key)
        if budget is None:
            yield _opened(books, given)
        elif budget.status == BudgetStatus.CLOSED or not _is_as_given(budget, before.get(key)):
            yield _kept(budget, given)
        else:
            yield _changed(books, budget, before[key], given)


def _key(books: Books, given: BudgetDefault) -> tuple[str, str]:
    return scope_of(books.slug, given.scope), given.unit


def _is_as_given(budget: Budget, given: BudgetDefault | None) -> bool:
    if given is None or budget.period != given.period:
        return False
    return budget.period == Period.ONE_OFF or budget.period_allocation == given.allocated_a_period


def _opened(books: Books, given: BudgetDefault) -> BudgetStep:
    scope, unit = _key(books, given)
    anchor = calendar_anchor(given.period, now=books.at, time_zone=books.time_zone)
    starts_at, ends_at = period_bounds(given.period, anchor=anchor, time_zone=books.time_zone, at=books.at)
    return BudgetStep(
        kind=StepKind.OPENED,
        scope=scope,
        unit=Unit(unit),
        before=0,
        after=share_left(given.allocated_a_period, starts_at=starts_at, ends_at=ends_at, at=books.at),
        used=0,
        period=given.period,
        starts_at=starts_at,
        ends_at=ends_at,
        anchor=anchor,
        granted=given,
        is_over=False,
    )


def _kept(budget: Budget, given: BudgetDefault) -> BudgetStep:
    return BudgetStep(
        kind=StepKind.KEPT,
        scope=budget.scope_path,
        unit=Unit(budget.unit),
        before=budget.allocated,
        after=budget.allocated,
        used=budget.spent + budget.reserved + budget.debt,
        period=Period(budget.period),
        starts_at=budget.period_starts_at,
        ends_at=budget.period_ends_at,
        anchor=None,
        granted=given,
        is_over=False,
    )


def _changed(books: Books, budget: Budget, old: BudgetDefault, given: BudgetDefault) -> BudgetStep:
    used = budget.spent + budget.reserved + budget.debt
    starts_at, ends_at, anchor = budget.period_starts_at, budget.period_ends_at, None
    if given.period != budget.period:
        anchor = calendar_anchor(given.period, now=books.at, time_zone=books.time_zone)
        starts_at, ends_at = period_bounds(given.period, anchor=anchor, time_zone=books.time_zone, at=books.at)
    if budget.period_ends_at is not None and budget.period_ends_at <= books.at:
        # Seen from before that period's end, of which nothing is left by then: the next one is the new plan's alone.
        wanted, used = given.allocated_a_period, 0
    else:
        taken = share_left(
            old.allocated_a_period, starts_at=budget.period_starts_at, ends_at=budget.period_ends_at, at=books.at
        )
        granted = share_left(given.allocated_a_period, starts_at=starts_at, ends_at=ends_at, at=books.at)
        wanted = budget.allocated - taken + granted
    return BudgetStep(
        kind=StepKind.CHANGED,
        scope=budget.scope_path,
        unit=Unit(budget.unit),
        before=budget.allocated,
        after=max(wanted, used),
        used=used,
        period=given.period,
        starts_at=starts_at,
        ends_at=ends_at,
        anchor=anchor,
        granted=given,
        is_over=used > wanted,
    )

"""Limits that the last four comparable periods recommend, and what they would have refused.

A quantile is the nearest rank: the smallest of the values that 99 % of them do not exceed (`percentile_disc` in SQL).
Of four periods' sums that is the largest. A limit is the quantile x 1.2, rounded up.
"""

import time
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from budgets.models import Budget, LedgerHead
from budgets.models.choices import BudgetStatus, Period
from budgets.selectors.ledger_beginning import ledger_beginning
from budgets.selectors.ledger_times import last_seq_before
from kernel.sql_files import read_sql

PERIODS: Final = 4
BUDGETS_MAX: Final = 200
#: Entries read by one statement, and how long a report reads at all.
STEP: Final = 10_000
SECONDS_MAX: Final = 10.0
#: Periods of a kind that lie between two comparable ones: a day is like the same weekday of another week.
_APART: Final = {Period.DAY: 7, Period.WEEK: 1, Period.MONTH: 1}
#: What limits may be recommended by.
COMPARED: Final = tuple(_APART)
_DELTAS_A_BUDGET: Final = 5


class TooMuchToRead(Exception):
    """There was not time enough to read so many periods of so many scopes. Ask for one scope, or a shorter period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodUse:
    """What was used in one period: calls, and what they really cost with every correction made in it."""

    starts_at: datetime
    ends_at: datetime
    calls: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`p99` and `limit` in the budget's unit. `refused` of the calls of the four periods, `refused_now` of those since.

    A refused call uses nothing, so that it does not push the next one over the limit.
    """

    p99: int
    limit: int
    refused: int
    refused_now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """For one budget: the four periods, the newest first, without those of which the ledger was archived; and a limit
    on a period's use and on a single call's cost.

    The limits are None where no call was made in any of them.
    """

    scope_path: str
    unit: str
    period: Period
    granted: int
    periods: tuple[PeriodUse, ...]
    now: PeriodUse
    a_period: Limit | None
    a_call: Limit | None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """A period in time and in numbers: entries after `after`, up to and with `until`."""

    ago: int
    starts_at: datetime
    ends_at: datetime
    after: int
    until: int


@dataclass(slots=True)
class _Use:
    """What one budget used in one period: the cost of every call in order, and the sum with corrections."""

    costs: "array[int]" = field(default_factory=lambda: array("q"))
    used: int = 0


def nearest_rank(values: Sequence[int], *, per_cent: int) -> int:
    """The smallest of the values, at least one, that so many per cent of them do not exceed."""
    rank = -(-len(values) * per_cent // 100)
    return sorted(values)[max(rank, 1) - 1]


def recommended_limits(
    *, now: datetime, period: Period | None = None, scope_path: str | None = None, within: Q | None = None
) -> list[Recommendation]:
    """For every open budget that is not a run's, or that of one scope, by scope path; `BUDGETS_MAX` at most.

    `period` compares others than the budget's own; one-off budgets are compared by month. Raises `TooMuchToRead`.
    """
    budgets = Budget.objects.filter(within or Q(), run_id=None).exclude(status=BudgetStatus.CLOSED)
    if scope_path is not None:
        budgets = budgets.filter(scope_path=scope_path)
    head = LedgerHead.objects.get(pk=1)
    by_bounds: defaultdict[tuple[Period, date], list[Budget]] = defaultdict(list)
    for budget in budgets.order_by("scope_path", "unit")[:BUDGETS_MAX]:
        chosen = period or (Period.MONTH if budget.period == Period.ONE_OFF else Period(budget.period))
        by_bounds[chosen, budget.anchor].append(budget)
    ends_at = time.monotonic() + SECONDS_MAX
    found: list[Recommendation] = []
    for (chosen, anchor), group in by_bounds.items():
        bounds = list(_bounds(chosen, anchor, time_zone=head.time_zone, now=now))
        uses = {each.ago: _read(each, {budget.pk for budget in group}, ends_at=ends_at) for each in bounds}
        for budget in group:
            found.append(_recommend(budget, chosen, bounds, [uses[each.ago][budget.pk] for each in bounds]))
    return sorted(found, key=lambda each: (each.scope_path, each.unit))


def _bounds(period: Period, anchor: date, *, time_zone: str, now: datetime) -> Iterator[_Bounds]:
    """The period that holds `now`, and the comparable ones before it that the ledger has all of, the newest first."""
    kept_since = ledger_beginning().at
    parameters = {"period": period, "anchor": anchor, "time_zone": time_zone, "at": now}
    rows = _rows("comparable_periods", parameters | {"ago_max": PERIODS, "apart": _APART[period]})
    for ago, starts_at, ends_at in rows:
        if ago and kept_since is not None and starts_at < kept_since:
            # It would seem to have used less than it did.
            return
        after, until = last_seq_before(starts_at), last_seq_before(min(ends_at, now))
        yield _Bounds(ago, starts_at, ends_at, after=after, until=until)


def _read(bounds: _Bounds, budget_ids: set[UUID], *, ends_at: float) -> Mapping[UUID, _Use]:
    uses: defaultdict[UUID, _Use] = defaultdict(_Use)
    after = bounds.after
    while after < bounds.until:
        if time.monotonic() > ends_at:
            raise TooMuchToRead
        until = min(after + STEP, bounds.until)
        for _, kind, amount, touched, deltas in _rows("charges_step", {"after": after, "until": until}):
            for place, budget_id in enumerate(touched):
                if budget_id not in budget_ids:
                    continue
                use = uses[budget_id]
                first = place * _DELTAS_A_BUDGET
                use.used += sum(deltas[first + 2 : first + 5])
                if kind != "CORRECTION":
                    use.costs.append(amount)
        after = until
    return uses


def _recommend(budget: Budget, period: Period, bounds: Sequence[_Bounds], uses: Sequence[_Use]) -> Recommendation:
    current, *past = uses
    now, *periods = (
        PeriodUse(starts_at=each.starts_at, ends_at=each.ends_at, calls=len(use.costs), used=use.used)
        for each, use in zip(bounds, uses, strict=True)
    )
    costs = [cost for use in past for cost in use.costs]
    a_period = a_call = None
    if costs:
        p99 = nearest_rank([max(use.used, 0) for use in past], per_cent=99)
        limit = _with_margin(p99)
        a_period = Limit(
            p99=p99,
            limit=limit,
            refused=sum(_refused_in_period(use.costs, limit) for use in past),
            refused_now=_refused_in_period(current.costs, limit),
        )
        p99 = nearest_rank(costs, per_cent=99)
        limit = _with_margin(p99)
        a_call = Limit(
            p99=p99,
            limit=limit,
            refused=sum(cost > limit for cost in costs),
            refused_now=sum(cost > limit for cost in current.costs),
        )
    return Recommendation(
        scope_path=budget.scope_path,
        unit=budget.unit,
        period=period,
        granted=budget.allocated if budget.period == Period.ONE_OFF else budget.period_allocation,
        periods=tuple(periods),
        now=now,
        a_period=a_period,
        a_call=a_call,
    )


def _with_margin(quantile: int) -> int:
    """Times 1.2, rounded up."""
    return -(-quantile * 6 // 5)


def _refused_in_period(costs: Sequence[int], limit: int) -> int:
    used = refused = 0
    for cost in costs:
        if used + cost > limit:
            refused += 1
        else:
            used += cost
    return refused


def _rows(name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", name), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows

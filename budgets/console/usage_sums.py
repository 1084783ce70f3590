"""What a page of usage shows, from one series: sums by name, a series for each name, and when the budget is used up."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from budgets.selectors.budget_lines import BudgetLine
from budgets.selectors.steps import Step, local_midnight
from budgets.selectors.usage import HISTOGRAMS, NO_USAGE, UsagePoint, UsageSums

#: Names that a page lists; the file has all of them.
NAMES_SHOWN: Final = 50
_FORESEEN_S: Final = 100_000 * 3600
_ADDED: Final = tuple(field.name for field in fields(UsageSums) if field.name not in HISTOGRAMS)


@dataclass(frozen=True, slots=True)
class Span:
    """From when a page looks back, and how long a step is."""

    since: datetime
    step: Step
    words: str


@dataclass(frozen=True, slots=True)
class NamedSums:
    name: str
    sums: UsageSums
    share_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`exhausts_at` is None where the budget lasts: to the end of its period, or because nothing is spent."""

    budget: BudgetLine
    an_hour: int
    exhausts_at: datetime | None

    @property
    def is_used_up(self) -> bool:
        return self.budget.remaining <= 0


def span_of(name: str, *, now: datetime, time_zone: str) -> Span:
    """`24h` by hours; `7d`, `30d` and `month` by local days, today among them."""
    if name == "24h":
        hour = now.replace(minute=0, second=0, microsecond=0)
        return Span(since=hour - timedelta(hours=23), step=Step.HOUR, words="the last 24 hours")
    midnight = local_midnight(now.date(), time_zone=time_zone)
    today = now.astimezone(midnight.tzinfo).date()
    if name == "month":
        return Span(since=local_midnight(today.replace(day=1), time_zone=time_zone), step=Step.DAY, words="this month")
    days = 30 if name == "30d" else 7
    first = today - timedelta(days=days - 1)
    return Span(since=local_midnight(first, time_zone=time_zone), step=Step.DAY, words=f"the last {days} days")


def added(sums: Sequence[UsageSums]) -> UsageSums:
    counts: dict[str, Any] = {
        name: tuple(sum(column) for column in zip(*(getattr(each, name) for each in sums), strict=True))
        for name in HISTOGRAMS
    }
    numbers = {name: sum(getattr(each, name) for each in sums) for name in _ADDED}
    return replace(NO_USAGE, **numbers, **counts) if sums else NO_USAGE


def by_name(points: Sequence[UsagePoint]) -> list[NamedSums]:
    """The most charged first."""
    found: dict[str, list[UsageSums]] = defaultdict(list)
    for point in points:
        found[point.name].append(point.sums)
    whole = sum(point.sums.charged for point in points)
    rows = [(name, added(sums)) for name, sums in found.items()]
    rows.sort(key=lambda row: (-row[1].charged, row[0]))
    return [NamedSums(name, sums, sums.charged * 100 // whole if whole > 0 else 0) for name, sums in rows]


def charged_by_name(points: Sequence[UsagePoint], starts_at: Sequence[datetime]) -> dict[str, list[int]]:
    """For each name what it was charged in each step, nothing where nothing happened."""
    place = {at: number for number, at in enumerate(starts_at)}
    found: dict[str, list[int]] = defaultdict(lambda: [0] * len(starts_at))
    for point in points:
        if point.starts_at in place:
            found[point.name][place[point.starts_at]] += point.sums.charged
    return dict(found)


def planned_and_observed(
    points: Sequence[UsagePoint], starts_at: Sequence[datetime]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What was held for the calls that were committed in each step, and what those really cost."""
    place = {at: number for number, at in enumerate(starts_at)}
    planned, observed = [0] * len(starts_at), [0] * len(starts_at)
    for point in points:
        if point.starts_at in place:
            planned[place[point.starts_at]] += point.sums.planned
            observed[place[point.starts_at]] += point.sums.observed
    return tuple(planned), tuple(observed)


def forecast(
    budgets: Sequence[BudgetLine], *, unit: str, charged: int, since: datetime, now: datetime
) -> Forecast | None:
    """When the tenant's own budget is used up if it goes on like since `since`; None without a budget in force."""
    budget = next((each for each in budgets if each.unit == unit), None)
    if budget is None or (budget.period_ends_at is not None and budget.period_ends_at <= now):
        return None
    # In whole numbers: an amount times a length of time is more than a length of time can be. The first minutes of a
    # tenant say nothing of its pace yet: less than an hour counts as one.
    passed_s = max((now - since) // timedelta(seconds=1), 3600)
    an_hour = charged * 3600 // passed_s
    exhausts_at = None
    if budget.remaining <= 0:
        exhausts_at = now
    elif an_hour > 0:
        # Beyond some years a date says nothing, and may not exist.
        left_s = min(budget.remaining * 3600 // an_hour, _FORESEEN_S)
        at = now + timedelta(seconds=left_s)
        ends_at = budget.period_ends_at
        exhausts_at = at if left_s < _FORESEEN_S and (ends_at is None or at < ends_at) else None
    return Forecast(budget=budget, an_hour=an_hour, exhausts_at=exhausts_at)

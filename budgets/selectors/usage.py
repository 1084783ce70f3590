"""What was used and decided, over time and by what, from the rollups of the tenant whose schema the connection is in.

One query each. Buckets are quarters of an hour, so that days, weeks and months are right in every time zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from budgets.models import RollupMark
from budgets.models.choices import Verdict
from budgets.models.rollups import LATENCY_BOUNDS_MS
from kernel.money import Unit
from kernel.sql_files import read_sql

_NO_STEP: Final = "none"


class Step(StrEnum):
    """How long a point of a series lasts. Days, weeks (from Monday) and months begin at local midnight."""

    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class UsageBy(StrEnum):
    """What usage is parted by. Who has no such thing has the name ''."""

    MODEL = "model"
    TOOL = "tool"
    WORKSPACE = "workspace"
    AGENT = "agent"
    CLASS = "class"
    SCOPE = "scope"


class DecisionsBy(StrEnum):
    """What decisions are parted by. Who has no such thing has the name ''."""

    REASON = "reason"
    TOOL = "tool"
    AGENT = "agent"
    WORKSPACE = "workspace"
    VERDICT = "verdict"
    CLASS = "class"
    ACTION = "action"
    ENDPOINT = "endpoint"
    WOULD_DENY = "would_deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSums:
    """Sums over calls; amounts in the unit that was asked for, `provider_cost` always in USD_MICROCENTS.

    `charged` is what was billed, `uncovered` what was spent beyond it; both with the corrections made in the range.
    `planned` and `observed` are of the same calls: held before, cost afterwards. `latency_counts` are the calls within
    each of `LATENCY_BOUNDS_MS`, and longer ones.
    """

    calls: int = 0
    events: int = 0
    charged: int = 0
    uncovered: int = 0
    corrections: int = 0
    corrected: int = 0
    priced_calls: int = 0
    priced_charged: int = 0
    provider_cost: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    tokens_cached: int = 0
    tokens_reasoning: int = 0
    holds: int = 0
    held: int = 0
    commits: int = 0
    planned: int = 0
    observed: int = 0
    releases: int = 0
    expiries: int = 0
    given_back: int = 0
    latency_ms: int = 0
    latency_counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS_MS) + 1)

    @property
    def actual(self) -> int:
        """What was really spent."""
        return self.charged + self.uncovered

    @property
    def margin(self) -> int:
        """Billed less provider's cost, of the calls whose cost is known; for USD_MICROCENTS only."""
        return self.priced_charged - self.provider_cost

    @property
    def latency_mean_ms(self) -> int | None:
        measured = sum(self.latency_counts)
        return self.latency_ms // measured if measured else None

    def latency_within_ms(self, share_ppm: int) -> int | None:
        """The bound within which this share of the measured calls came back. None beyond the last, or without any."""
        measured = sum(self.latency_counts)
        seen = 0
        for bound, count in zip(LATENCY_BOUNDS_MS, self.latency_counts[:-1], strict=True):
            seen += count
            if measured and seen * 1_000_000 >= measured * share_ppm:
                return bound
        return None


NO_USAGE: Final = UsageSums()
_FIELDS: Final = tuple(UsageSums.__dataclass_fields__)
_COUNTS: Final = ("count", "allowed", "capped", "denied", "would_deny")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePoint:
    """One step of a series, of one name. `starts_at` is in the time zone that was asked for."""

    starts_at: datetime
    name: str
    sums: UsageSums


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageShare:
    """What one name used in the whole range."""

    name: str
    sums: UsageSums


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCount:
    """How many calls were decided, and how. `would_deny` were let through in shadow mode."""

    name: str
    count: int
    allowed: int
    capped: int
    denied: int
    would_deny: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPoint:
    """One step of a series of decisions, of one name."""

    starts_at: datetime
    counts: DecisionCount


def usage_series(
    *,
    since: datetime,
    until: datetime,
    step: Step,
    time_zone: str,
    by: UsageBy | None = None,
    unit: str = Unit.USD_MICROCENTS,
    within: str = "",
) -> list[UsagePoint]:
    """In order of time, then the most charged first. Steps in which nothing happened are missing: see `step_starts`.

    From the quarter of an hour that holds or follows `since` to before `until`. `within` confines it to a scope path
    and what is below.
    """
    parameters = _parameters(since=since, until=until, step=step, time_zone=time_zone, by=by, within=within) | {
        "unit": unit
    }
    return [
        UsagePoint(starts_at=_starts_at(row, time_zone), name=row["name"], sums=_sums(row))
        for row in _rows("usage_by_step", parameters)
    ]


def usage_totals(
    *,
    since: datetime,
    until: datetime,
    by: UsageBy | None = None,
    unit: str = Unit.USD_MICROCENTS,
    within: str = "",
) -> list[UsageShare]:
    """The range as a whole, the most charged first. Without `by` one line, or none where nothing happened."""
    parameters = _parameters(since=since, until=until, by=by, within=within) | {"unit": unit}
    return [UsageShare(name=row["name"], sums=_sums(row)) for row in _rows("usage_by_step", parameters)]


def decision_counts(
    *,
    since: datetime,
    until: datetime,
    by: DecisionsBy | None = None,
    verdict: Verdict | None = None,
    within: str = "",
) -> list[DecisionCount]:
    """Decisions of the range by one word of them, the most frequent first. `verdict` leaves out all others."""
    parameters = _parameters(since=since, until=until, by=by, within=within) | {"verdict": verdict or ""}
    return [_count(row) for row in _rows("decisions_by_step", parameters)]


def decision_series(
    *,
    since: datetime,
    until: datetime,
    step: Step,
    time_zone: str,
    by: DecisionsBy | None = None,
    verdict: Verdict | None = None,
    within: str = "",
) -> list[DecisionPoint]:
    """Decisions over time, as `usage_series`."""
    parameters = _parameters(since=since, until=until, step=step, time_zone=time_zone, by=by, within=within) | {
        "verdict": verdict or ""
    }
    return [
        DecisionPoint(starts_at=_starts_at(row, time_zone), counts=_count(row))
        for row in _rows("decisions_by_step", parameters)
    ]


def rolled_up_at() -> datetime | None:
    """When the rollups last followed the books; None before the first time. Pages say it."""
    return RollupMark.objects.values_list("rolled_up_at", flat=True).filter(pk=1).first()


def local_midnight(on: date, *, time_zone: str) -> datetime:
    """When a local day begins. Where the clock is put forward over midnight: the moment at which that happens."""
    return datetime.combine(on, time(), tzinfo=ZoneInfo(time_zone))


def step_starts(*, since: datetime, until: datetime, step: Step, time_zone: str) -> list[datetime]:
    """Where every step of the range begins, also those in which nothing happened: what a chart's axis needs.

    The first one is the step that holds `since`. At most some thousands: the caller bounds the range.
    """
    zone = ZoneInfo(time_zone)
    if step in {Step.QUARTER, Step.HOUR}:
        return _clock_starts(since, until, timedelta(minutes=15) if step == Step.QUARTER else timedelta(hours=1), zone)
    day = since.astimezone(zone).date()
    if step == Step.WEEK:
        day -= timedelta(days=day.weekday())
    elif step == Step.MONTH:
        day = day.replace(day=1)
    starts = []
    while (start := local_midnight(day, time_zone=time_zone)) < until:
        starts.append(start)
        if step == Step.MONTH:
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day += timedelta(days=7 if step == Step.WEEK else 1)
    return starts


def _clock_starts(since: datetime, until: datetime, length: timedelta, zone: ZoneInfo) -> list[datetime]:
    # By the clock on the wall, whose hour may begin at half past in UTC; but counted in UTC, where none is missing.
    local = since.astimezone(zone)
    minutes = local.minute % (length // timedelta(minutes=1))
    start = (local - timedelta(minutes=minutes)).replace(second=0, microsecond=0).astimezone(UTC)
    if start > since:
        start -= length
    starts = []
    while start < until:
        starts.append(start.astimezone(zone))
        start += length
    return starts


def _parameters(
    *,
    since: datetime,
    until: datetime,
    step: Step | None = None,
    time_zone: str = "UTC",
    by: StrEnum | None,
    within: str,
) -> dict[str, Any]:
    return {
        "since": since,
        "until": until,
        "step": step or _NO_STEP,
        "zone": time_zone,
        "by": by or "",
        "within": within,
    }


def _starts_at(row: Mapping[str, Any], time_zone: str) -> datetime:
    # By date where it is one: midnight may come twice, or not at all.
    if row["step_on"] is not None:
        return local_midnight(row["step_on"], time_zone=time_zone)
    at: datetime = row["step_at"]
    return at.astimezone(ZoneInfo(time_zone))


def _sums(row: Mapping[str, Any]) -> UsageSums:
    numbers = {name: int(row[name]) for name in _FIELDS if name != "latency_counts"}
    return UsageSums(**numbers, latency_counts=tuple(row["latency_counts"]))


def _count(row: Mapping[str, Any]) -> DecisionCount:
    return DecisionCount(name=row["name"], **{name: int(row[name]) for name in _COUNTS})


def _rows(name: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", name), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

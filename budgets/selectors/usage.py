"""What was used, over time and by what, from the rollups of the tenant whose schema the connection is in.

One query each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from budgets.models import RollupMark
from budgets.models.rollups import LATENCY_BOUNDS_MS
from budgets.selectors.steps import Step, range_parameters, rollup_rows, starts_at
from kernel.money import Unit


class UsageBy(StrEnum):
    """What usage is parted by. Who has no such thing has the name ''."""

    MODEL = "model"
    TOOL = "tool"
    WORKSPACE = "workspace"
    AGENT = "agent"
    CLASS = "class"
    SCOPE = "scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSums:
    """Sums over calls; amounts in the unit that was asked for, `provider_cost` always in USD_MICROCENTS.

    `charged` is what was billed, `uncovered` what was spent beyond it; both with the corrections made in the range.
    `planned` and `observed` are of the same calls: held before, cost afterwards. `latency_counts` are the calls within
    each of `LATENCY_BOUNDS_MS`, and longer ones; `first_token_counts` are the same of the time to the first token.
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
    first_token_ms: int = 0
    first_token_counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS_MS) + 1)

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
        return _within_ms(self.latency_counts, share_ppm)

    def first_token_within_ms(self, share_ppm: int) -> int | None:
        """The bound within which this share of the measured calls brought their first token. None as above."""
        return _within_ms(self.first_token_counts, share_ppm)


def _within_ms(counts: tuple[int, ...], share_ppm: int) -> int | None:
    measured = sum(counts)
    seen = 0
    for bound, count in zip(LATENCY_BOUNDS_MS, counts[:-1], strict=True):
        seen += count
        if measured and seen * 1_000_000 >= measured * share_ppm:
            return bound
    return None


NO_USAGE: Final = UsageSums()
#: The fields that are counts within bounds, not numbers.
HISTOGRAMS: Final = ("latency_counts", "first_token_counts")
_FIELDS: Final = tuple(UsageSums.__dataclass_fields__)


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
    parameters = range_parameters(since=since, until=until, step=step, time_zone=time_zone, by=by, within=within) | {
        "unit": unit
    }
    return [
        UsagePoint(starts_at=starts_at(row, time_zone), name=row["name"], sums=_sums(row))
        for row in rollup_rows("usage_by_step", parameters)
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
    parameters = range_parameters(since=since, until=until, by=by, within=within) | {"unit": unit}
    return [UsageShare(name=row["name"], sums=_sums(row)) for row in rollup_rows("usage_by_step", parameters)]


def rolled_up_at() -> datetime | None:
    """When the rollups last followed the books; None before the first time. Pages say it."""
    return RollupMark.objects.values_list("rolled_up_at", flat=True).filter(pk=1).first()


def _sums(row: Mapping[str, Any]) -> UsageSums:
    numbers: dict[str, Any] = {name: int(row[name]) for name in _FIELDS if name not in HISTOGRAMS}
    counts: dict[str, Any] = {name: tuple(row[name]) for name in HISTOGRAMS}
    return UsageSums(**numbers, **counts)

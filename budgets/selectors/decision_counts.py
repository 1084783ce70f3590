"""What was decided, over time and by what, from the rollups of the tenant whose schema the connection is in.

One query each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from budgets.models.choices import Verdict
from budgets.selectors.steps import Step, range_parameters, rollup_rows, starts_at

_COUNTS: Final = ("count", "allowed", "capped", "denied", "would_deny")


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


def decision_counts(
    *,
    since: datetime,
    until: datetime,
    by: DecisionsBy | None = None,
    verdict: Verdict | None = None,
    within: str = "",
) -> list[DecisionCount]:
    """Decisions of the range by one word of them, the most frequent first. `verdict` leaves out all others."""
    parameters = range_parameters(since=since, until=until, by=by, within=within) | {"verdict": verdict or ""}
    return [_count(row) for row in rollup_rows("decisions_by_step", parameters)]


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
    parameters = range_parameters(since=since, until=until, step=step, time_zone=time_zone, by=by, within=within) | {
        "verdict": verdict or ""
    }
    return [
        DecisionPoint(starts_at=starts_at(row, time_zone), counts=_count(row))
        for row in rollup_rows("decisions_by_step", parameters)
    ]


def _count(row: Mapping[str, Any]) -> DecisionCount:
    return DecisionCount(name=row["name"], **{name: int(row[name]) for name in _COUNTS})

"""The low-water mark: when a budget runs low, who keeps the model, who gets a compact one, and who waits.

Pure, and in whole numbers, because the decision itself makes the same comparisons in SQL.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from budgets.services.rule_parts import Priority

_PPM: Final = 10**6


class Serving(StrEnum):
    """OWN_MODEL: as the class says; COMPACT: a compact model and a smaller context; REFUSED: not now."""

    OWN_MODEL = "own_model"
    COMPACT = "compact"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Shares of the allocation that is left, in parts per million; the last two are of what is projected to be spent.

    Degraded below `enter` or when the period's projected spend is above `forecast_enter`; recovered above `leave`
    with a projection of at most `forecast_leave`, or at the period's end. High priority keeps its model down to
    `hard_floor`; normal is admitted down to `normal_floor`, low down to `low_floor`. At a floor is not yet below it.
    """

    enter_ppm: int = 200_000
    leave_ppm: int = 250_000
    hard_floor_ppm: int = 50_000
    normal_floor_ppm: int = 50_000
    low_floor_ppm: int = 100_000
    forecast_enter_ppm: int = 1_000_000
    forecast_leave_ppm: int = 900_000


DEFAULT_MARKS: Final = Marks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A budget's amounts in one unit. Nothing allocated counts as nothing left."""

    allocated: int
    spent: int
    reserved: int = 0

    @property
    def left(self) -> int:
        return self.allocated - self.spent - self.reserved

    def is_below(self, ppm: int) -> bool:
        """Whether less than so many parts per million of the allocation are left."""
        return self.allocated <= 0 or self.left * _PPM < ppm * self.allocated

    def is_above(self, ppm: int) -> bool:
        return self.allocated > 0 and self.left * _PPM > ppm * self.allocated


def projected_ppm(pool: Pool, *, elapsed_seconds: int, period_seconds: int) -> int:
    """What the period will have spent at its end if it goes on as it began, in parts per million of the allocation.

    Zero before anything has elapsed: a first hour says nothing about a month, so callers wait for a day.
    """
    if elapsed_seconds <= 0 or pool.allocated <= 0:
        return 0
    return (pool.spent + pool.reserved) * period_seconds * _PPM // (elapsed_seconds * pool.allocated)


def is_degraded(*, was_degraded: bool, pool: Pool, marks: Marks = DEFAULT_MARKS, projected: int = 0) -> bool:
    """The state after looking at the pool. Between the marks it stays what it was: at a reset, pass False.

    `projected` is what `projected_ppm` says, zero without a forecast.
    """
    if pool.is_below(marks.enter_ppm) or projected > marks.forecast_enter_ppm:
        return True
    recovers = pool.is_above(marks.leave_ppm) and projected <= marks.forecast_leave_ppm
    return was_degraded and not recovers


def serving(*, priority: Priority, pool: Pool, degraded: bool, marks: Marks = DEFAULT_MARKS) -> Serving:
    """How a request of this priority is served. The floors hold whether or not the pool is degraded."""
    if priority == Priority.HIGH:
        return Serving.COMPACT if pool.is_below(marks.hard_floor_ppm) else Serving.OWN_MODEL
    floor = marks.normal_floor_ppm if priority == Priority.NORMAL else marks.low_floor_ppm
    if pool.is_below(floor):
        return Serving.REFUSED
    return Serving.COMPACT if degraded else Serving.OWN_MODEL

"""What a run comes to: how many, how fast, how late. Nothing but the standard library: the load imports it too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run. A unit is what is measured: one reserve, or one lifecycle of reserve and commit.

    `units` and `rate` (a second) are those of accepted units. Latencies, in milliseconds, are those of all that were
    answered: who is refused after a second has waited a second. `statuses` counts the answers of the counted seconds by
    HTTP status. `accepted` and `other_answers` count requests of the whole run, warm-up and end included, and
    `unanswered` those that were given up: together they say how many ledger entries there must be. `declined` are those
    of the `other_answers` that say that nothing was done: they wrote none.
    """

    units: int
    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    statuses: Mapping[str, int] = field(default_factory=dict)
    accepted: int = 0
    other_answers: int = 0
    declined: int = 0
    unanswered: int = 0

    @property
    def refused(self) -> int:
        """Answers of the counted seconds that were not 2xx."""
        return sum(number for status, number in self.statuses.items() if not status.startswith("2"))


_COUNTS: Final = {"accepted", "other_answers", "declined", "unanswered"}


def figures_of(latencies_s: Sequence[float], *, seconds: float, units: int | None = None, **counts: Any) -> Figures:
    """The figures of units that took `latencies_s` each and ended within `seconds`; `units` of them were accepted,
    all if it is left out.
    """
    ordered = sorted(latencies_s)
    good = len(ordered) if units is None else units
    return Figures(
        units=good,
        rate=round(good / seconds, 1) if seconds else 0.0,
        p50_ms=quantile_ms(ordered, 0.50),
        p90_ms=quantile_ms(ordered, 0.90),
        p99_ms=quantile_ms(ordered, 0.99),
        max_ms=quantile_ms(ordered, 1.0),
        **counts,
    )


def quantile_ms(ordered_s: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that `share` of them do not exceed (nearest rank); 0 when there are none."""
    if not ordered_s:
        return 0.0
    rank = max(1, -int(-len(ordered_s) * share // 1))
    return round(ordered_s[rank - 1] * 1000, 3)


def median_of(runs: Sequence[Figures]) -> Figures:
    """Each figure's median over several runs; counts of requests are summed."""
    if len(runs) == 1:
        return runs[0]
    statuses: dict[str, int] = {}
    for run in runs:
        for status, number in run.statuses.items():
            statuses[status] = statuses.get(status, 0) + number
    values: dict[str, Any] = {"statuses": statuses}
    for name in (each.name for each in fields(Figures) if each.name != "statuses"):
        numbers = [getattr(run, name) for run in runs]
        values[name] = sum(numbers) if name in _COUNTS else round(median(numbers), 3)
    values["units"] = int(values["units"])
    return Figures(**values)

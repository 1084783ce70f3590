"""Numbers under names and labels, that can be added to each other."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

from kernel.metrics.catalogue import Kind, Metric

#: Series of one metric in one process. What comes beyond is counted together, so that nothing grows without bound.
SERIES_MAX: Final = 1_000
OTHER: Final = "other"

type Series = tuple[str, tuple[str, ...]]
#: One number of a counter or a gauge; of a histogram the count of each bucket (the last has what is beyond all bounds)
#: and behind them the sum in seconds.
type Numbers = list[float]


class Tally:
    """What one process has counted. Shared by threads; nothing of it is called by a thread that decides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[Series, Numbers] = {}
        self._series_of: dict[str, int] = {}

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        """More of a counter."""
        with self._lock:
            self._of(metric, labels, size=1)[0] += amount

    def put(self, metric: Metric, labels: tuple[str, ...] = (), *, number: float) -> None:
        """A gauge as it is now."""
        with self._lock:
            self._of(metric, labels, size=1)[0] = number

    def observe(self, metric: Metric, labels: tuple[str, ...], seconds: float) -> None:
        """One more in a histogram."""
        with self._lock:
            numbers = self._of(metric, labels, size=len(metric.bounds) + 2)
            numbers[bisect_left(metric.bounds, seconds)] += 1
            numbers[-1] += seconds

    def add_numbers(self, metric: Metric, labels: tuple[str, ...], more: Numbers) -> None:
        """More of a histogram, added up elsewhere by the same bounds."""
        with self._lock:
            numbers = self._of(metric, labels, size=len(metric.bounds) + 2)
            for place, number in enumerate(more):
                numbers[place] += number

    def read(self) -> dict[Series, Numbers]:
        """A copy of everything."""
        with self._lock:
            return {series: list(numbers) for series, numbers in self._numbers.items()}

    def _of(self, metric: Metric, labels: tuple[str, ...], *, size: int) -> Numbers:
        series = (metric.name, labels)
        found = self._numbers.get(series)
        if found is None:
            if self._series_of.get(metric.name, 0) >= SERIES_MAX:
                series = (metric.name, (OTHER,) * len(labels))
            else:
                self._series_of[metric.name] = self._series_of.get(metric.name, 0) + 1
            found = self._numbers.setdefault(series, [0.0] * size)
        return found


def added_up(tallies: Iterable[Mapping[Series, Numbers]]) -> dict[Series, Numbers]:
    """All of them together. One that counted by other bounds, because it is of another release, is left out."""
    total: dict[Series, Numbers] = {}
    for tally in tallies:
        for series, numbers in tally.items():
            known = total.get(series)
            if known is None:
                total[series] = list(numbers)
            elif len(known) == len(numbers):
                total[series] = [one + other for one, other in zip(known, numbers, strict=True)]
    return total


def quantile(metric: Metric, numbers: Numbers, share: float) -> float | None:
    """About which so large a share of what was observed took no longer, in seconds; None where nothing was.

    Between two bounds it is taken to be spread evenly; beyond the last it is that bound.
    """
    assert metric.kind == Kind.HISTOGRAM
    counts = numbers[: len(metric.bounds) + 1]
    wanted = sum(counts) * share
    if not wanted:
        return None
    passed, lower = 0.0, 0.0
    for count, upper in zip(counts, metric.bounds, strict=False):
        if count and passed + count >= wanted:
            return lower + (upper - lower) * (wanted - passed) / count
        passed, lower = passed + count, upper
    return metric.bounds[-1]

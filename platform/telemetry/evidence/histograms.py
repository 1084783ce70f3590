"""Durations as counts by places, so that those of many hours and models can be added and still give percentiles.

The places grow by the fourth root of two: four to each doubling, so a percentile is at most 19 % above the true one
and never below it. Never changed: counts by the same places can be added.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

#: The first place has everything up to a millisecond, the last one what took longer than its bound, about 70 minutes.
PLACES: Final = 90
_PER_DOUBLING: Final = 4
_FIRST_US: Final = 1_000


def place_of(microseconds: int) -> int:
    """Where a duration is counted, from 0."""
    if microseconds <= _FIRST_US:
        return 0
    place = math.ceil(_PER_DOUBLING * math.log2(microseconds / _FIRST_US))
    # What lies on a bound belongs below it, whatever the logarithm's last digit says.
    if place and microseconds <= bound_us(place - 1):
        place -= 1
    return min(place, PLACES - 1)


def bound_us(place: int) -> int:
    """The longest duration of a place, in microseconds; of the last one there is none longer that is told apart."""
    return math.floor(_FIRST_US * 2 ** (place / _PER_DOUBLING))


def added(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Their sum, place by place."""
    return [sum(counts) for counts in zip([0] * PLACES, *histograms, strict=True)]


def percentile_us(counts: Sequence[int], percent: int) -> int | None:
    """The duration that `percent` of a hundred do not exceed, as the bound of its place. None where there are none."""
    total = sum(counts)
    if not total:
        return None
    # In integers: 95 % of 20 is the 19th, and no 19.000000001th.
    wanted, seen = -(-total * percent // 100), 0
    for place, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return bound_us(place)
    raise AssertionError("unreachable")

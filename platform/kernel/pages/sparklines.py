"""A line of numbers over time as the points of an SVG polyline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 96
HEIGHT: Final = 20
#: The line is not cut off at its highest and lowest point.
_MARGIN: Final = 1


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`points` within a box of `width` by `height`; `label` says it in words."""

    points: str
    width: int
    height: int
    label: str


def sparkline(
    numbers: Sequence[int], *, steps: int, label: str, width: int = WIDTH, height: int = HEIGHT
) -> Sparkline | None:
    """The numbers, the oldest first, added up to at most `steps` points; None where all are zero."""
    size = max(-(-len(numbers) // steps), 1)
    sums = [sum(numbers[start : start + size]) for start in range(0, len(numbers), size)]
    highest = max(sums, default=0)
    if highest <= 0 or len(sums) < 2:
        return None
    room = height - 2 * _MARGIN
    points = " ".join(
        f"{position * width / (len(sums) - 1):.1f},{height - _MARGIN - max(each, 0) * room / highest:.1f}"
        for position, each in enumerate(sums)
    )
    return Sparkline(points=points, width=width, height=height, label=label)

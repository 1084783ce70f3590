"""How often the router is right, from labelled feedback: an indicator with an interval, and an alarm when it drifts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from budgets.services.routing_policy import TierName
from routing.services.tiers import is_above

#: What the router is held to.
DEFAULT_TARGET: Final = 0.97
#: Of a normal distribution: 95 % in the middle; 95 % and 90 % below.
_TWO_SIDED_95: Final = 1.959964
_ONE_SIDED_95: Final = 1.644854
_ONE_SIDED_90: Final = 1.281552
#: Fewer labels say nothing, whatever they say.
LABELS_MIN: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One request: the tier that the router chose, and the one that it needed."""

    chosen: TierName
    needed: TierName


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Shares from 0 to 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Counts of labels. Under-routed: the tier was too weak; over-routed: it was dearer than needed."""

    labels: int
    correct: int
    under_routed: int
    over_routed: int

    @property
    def share(self) -> float:
        return self.correct / self.labels if self.labels else 0.0

    @property
    def under_rate(self) -> float:
        return self.under_routed / self.labels if self.labels else 0.0

    @property
    def over_rate(self) -> float:
        return self.over_routed / self.labels if self.labels else 0.0

    @property
    def interval(self) -> Interval:
        """Wilson's, at 95 %."""
        return wilson(self.correct, self.labels)


class RouterVerdict(StrEnum):
    """UNKNOWN: too few labels; GOOD: the target may hold; DRIFTED: it does not, with 95 % confidence."""

    UNKNOWN = "unknown"
    GOOD = "good"
    DRIFTED = "drifted"


def accuracy_of(labels: Iterable[Label]) -> Accuracy:
    """The counts of `labels`."""
    count = correct = under = over = 0
    for label in labels:
        count += 1
        correct += label.chosen == label.needed
        under += is_above(label.needed, label.chosen)
        over += is_above(label.chosen, label.needed)
    return Accuracy(labels=count, correct=correct, under_routed=under, over_routed=over)


def wilson(successes: int, count: int, *, z: float = _TWO_SIDED_95) -> Interval:
    """Wilson's score interval for a share; all of 0 to 1 without any observation."""
    if count == 0:
        return Interval(low=0.0, high=1.0)
    share, z_squared = successes / count, z * z
    middle = share + z_squared / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z_squared / (4 * count * count))
    whole = 1 + z_squared / count
    return Interval(low=max((middle - half) / whole, 0.0), high=min((middle + half) / whole, 1.0))


def judge(accuracy: Accuracy, *, target: float = DEFAULT_TARGET) -> RouterVerdict:
    """Whether the router keeps its target: it drifted when even the upper end of the interval is below."""
    if accuracy.labels < LABELS_MIN:
        return RouterVerdict.UNKNOWN
    high = wilson(accuracy.correct, accuracy.labels, z=_ONE_SIDED_95).high
    return RouterVerdict.DRIFTED if high < target else RouterVerdict.GOOD


def labels_needed(*, before: float, after: float) -> int:
    """Labels that `judge` needs to see a fall from `before` to `after` in nine of ten cases.

    The sample size of a one-sided test of a share, at 5 % false alarms and 90 % power.
    """
    spread = _ONE_SIDED_95 * math.sqrt(before * (1 - before)) + _ONE_SIDED_90 * math.sqrt(after * (1 - after))
    return math.ceil((spread / (before - after)) ** 2)


def sends_all_to_medium(*, is_on: bool, accuracy: Accuracy, target: float = DEFAULT_TARGET) -> bool:
    """The fallback switch after these labels, which are those since it was last thrown.

    On when the router drifted. Off again when as many labels as it takes to see such a fall are on target; the
    router goes on choosing meanwhile, unheeded, so that there is something to label.
    """
    if not is_on:
        return judge(accuracy, target=target) == RouterVerdict.DRIFTED
    enough = labels_needed(before=target, after=target - 0.06)
    return accuracy.labels < enough or accuracy.share < target

"""Router accuracy: an interval that is honest about few labels, and an alarm that comes when it should."""

import random

import pytest

from budgets.services.routing_policy import TierName
from routing.services.router_accuracy import (
    LABELS_MIN,
    Accuracy,
    Label,
    RouterVerdict,
    accuracy_of,
    judge,
    labels_needed,
    sends_all_to_medium,
    wilson,
)

SMALL, MEDIUM, LARGE = TierName.SMALL, TierName.MEDIUM, TierName.LARGE


def counted(correct: int, labels: int) -> Accuracy:
    return Accuracy(labels=labels, correct=correct, under_routed=labels - correct, over_routed=0)


class TestAccuracy:
    def test_tells_too_weak_from_too_dear(self) -> None:
        labels = [(SMALL, SMALL), (SMALL, LARGE), (MEDIUM, LARGE), (LARGE, SMALL), (MEDIUM, MEDIUM)]

        accuracy = accuracy_of(Label(chosen=chosen, needed=needed) for chosen, needed in labels)

        assert accuracy == Accuracy(labels=5, correct=2, under_routed=2, over_routed=1)
        assert (accuracy.share, accuracy.under_rate, accuracy.over_rate) == (0.4, 0.4, 0.2)

    def test_of_nothing_says_nothing(self) -> None:
        accuracy = accuracy_of([])

        assert (accuracy.interval.low, accuracy.interval.high) == (0, 1)
        assert judge(accuracy) == RouterVerdict.UNKNOWN


class TestInterval:
    @pytest.mark.parametrize(
        ("successes", "count", "low", "high"),
        # From Wilson (1927) and Newcombe (1998), method 3.
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_is_wilsons(self, successes: int, count: int, low: float, high: float) -> None:
        interval = wilson(successes, count)

        assert interval.low == pytest.approx(low, abs=5e-5)
        assert interval.high == pytest.approx(high, abs=5e-5)

    def test_stays_between_none_and_all(self) -> None:
        assert wilson(0, 5).low == 0
        assert wilson(5, 5).high == 1


class TestDrift:
    def test_from_97_to_91_percent_needs_117_labels(self) -> None:
        assert labels_needed(before=0.97, after=0.91) == 117

    @pytest.mark.parametrize(("share", "expected"), [(0.91, 0.9), (0.97, 0.05)])
    def test_is_seen_in_nine_of_ten_cases_and_imagined_in_one_of_twenty(self, share: float, expected: float) -> None:
        chance = random.Random(7)
        alarms = 0
        for _ in range(2_000):
            correct = sum(chance.random() < share for _ in range(117))
            alarms += judge(counted(correct, 117), target=0.97) == RouterVerdict.DRIFTED

        assert alarms / 2_000 == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize(
        ("labels", "verdict"), [(LABELS_MIN - 1, RouterVerdict.UNKNOWN), (LABELS_MIN, RouterVerdict.DRIFTED)]
    )
    def test_is_not_judged_by_too_few_labels(self, labels: int, verdict: RouterVerdict) -> None:
        assert judge(counted(0, labels)) == verdict


class TestFallbackSwitch:
    def test_is_thrown_when_the_router_drifts(self) -> None:
        assert not sends_all_to_medium(is_on=False, accuracy=counted(114, 117))
        assert sends_all_to_medium(is_on=False, accuracy=counted(106, 117))

    @pytest.mark.parametrize(("correct", "labels", "stays"), [(116, 116, True), (114, 117, False), (113, 117, True)])
    def test_goes_back_after_enough_labels_on_target(self, correct: int, labels: int, stays: bool) -> None:
        assert sends_all_to_medium(is_on=True, accuracy=counted(correct, labels)) is stays

"""Which observation is which charge, and what differs."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from budgets.reconciling.calls import Booked, Finding, Observed
from budgets.reconciling.matching import APART_MAX, compare_calls, compare_days

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_AND_HERE = {"model": "m", "tokens_input": 100, "tokens_output": 20, "cost": 1_000}


def seen(*references: str, after: timedelta = timedelta(0), **fields: object) -> Observed:
    return Observed(references=references, at=AT + after, place="line 1", **(NOW_AND_HERE | fields))  # type: ignore[arg-type]


def booked(seq: int, *references: str, after: timedelta = timedelta(0), **fields: object) -> Booked:
    return Booked(seq=seq, references=references, at=AT + after, **(NOW_AND_HERE | fields))  # type: ignore[arg-type]


class TestCalls:
    def test_with_one_id_are_the_same_call_whatever_their_times(self) -> None:
        found = compare_calls([seen("a", "b")], [booked(1, "b", after=timedelta(hours=5))], tolerance_ppm=0)

        assert found.is_clean
        assert found.matched == 1

    def test_that_nobody_booked_are_missing(self) -> None:
        (difference,) = compare_calls([seen("a")], [], tolerance_ppm=0).differences

        assert (difference.finding, difference.reference) == (Finding.MISSING, "a")
        assert difference.cost == (1_000, None)

    def test_that_nobody_observed_are_extra(self) -> None:
        (difference,) = compare_calls([], [booked(7, "a")], tolerance_ppm=0).differences

        assert (difference.finding, difference.seq) == (Finding.EXTRA, 7)

    @pytest.mark.parametrize("name", ["tokens_input", "tokens_output"])
    def test_drift_by_one_token(self, name: str) -> None:
        other = booked(1, "a", **{name: NOW_AND_HERE[name] + 1})  # type: ignore[arg-type, operator]

        (difference,) = compare_calls([seen("a")], [other], tolerance_ppm=10**6).differences

        assert difference.finding == Finding.DRIFT

    @pytest.mark.parametrize(("cost", "is_drift"), [(1_010, False), (1_011, True), (990, False), (989, True)])
    def test_drift_by_more_than_the_tolerance_of_their_cost(self, cost: int, is_drift: bool) -> None:
        found = compare_calls([seen("a")], [booked(1, "a", cost=cost)], tolerance_ppm=10_000)

        assert found.is_clean is not is_drift

    def test_do_not_drift_by_what_one_side_does_not_say(self) -> None:
        assert compare_calls([seen("a", cost=None)], [booked(1, "a", tokens_input=None)], tolerance_ppm=0).is_clean

    def test_without_an_id_are_matched_by_likeness_to_the_nearest(self) -> None:
        charges = [booked(1, after=-APART_MAX), booked(2, after=timedelta(seconds=3)), booked(3, tokens_input=101)]

        found = compare_calls([seen("a")], charges, tolerance_ppm=0)

        assert found.matched == 1
        assert {each.seq for each in found.differences} == {1, 3}

    @pytest.mark.parametrize(("more", "is_same"), [(timedelta(0), True), (timedelta(microseconds=1), False)])
    def test_too_far_apart_are_not_alike(self, more: timedelta, is_same: bool) -> None:
        assert compare_calls([seen("a")], [booked(1, after=APART_MAX + more)], tolerance_ppm=0).is_clean is is_same

    def test_with_other_ids_are_other_calls_however_alike(self) -> None:
        found = compare_calls([seen("a")], [booked(1, "z")], tolerance_ppm=0)

        assert found.counts == {Finding.MISSING: 1, Finding.EXTRA: 1}

    def test_match_one_charge_each(self) -> None:
        found = compare_calls([seen("a"), seen("a")], [booked(1, "a")], tolerance_ppm=0)

        assert (found.matched, found.counts) == (1, {Finding.MISSING: 1})

    def test_that_are_worth_most_come_first(self) -> None:
        found = compare_calls([seen("a", cost=1), seen("b", cost=5)], [booked(1, "c", cost=3)], tolerance_ppm=0)

        assert [each.reference for each in found.differences] == ["b", "c", "a"]


class TestDays:
    def of_day(self, day: int, **fields: object) -> Observed:
        return Observed(day=date(2026, 11, day), place="line 1", **(NOW_AND_HERE | fields))  # type: ignore[arg-type]

    def test_are_compared_as_sums(self) -> None:
        charges = [
            booked(1, cost=400, tokens_input=60, tokens_output=5),
            booked(2, cost=600, tokens_input=40, tokens_output=15),
        ]

        found = compare_days([self.of_day(20)], charges, zone=ZoneInfo("UTC"), tolerance_ppm=0)

        assert found.is_clean

    def test_are_those_of_the_zone(self) -> None:
        """At noon UTC it is the next day on Kiritimati."""
        found = compare_days([self.of_day(20)], [booked(1)], zone=ZoneInfo("Pacific/Kiritimati"), tolerance_ppm=0)

        assert [(each.finding, each.day) for each in found.differences] == [
            (Finding.MISSING, date(2026, 11, 20)),
            (Finding.EXTRA, date(2026, 11, 21)),
        ]

    def test_say_what_differs_of_a_model(self) -> None:
        (difference,) = compare_days(
            [self.of_day(20), self.of_day(20, model="other")],
            [booked(1), booked(2, model="other", cost=700)],
            zone=ZoneInfo("UTC"),
            tolerance_ppm=0,
        ).differences

        assert (difference.finding, difference.model, difference.cost) == (Finding.DRIFT, "other", (1_000, 700))
        assert difference.cost_difference == 300

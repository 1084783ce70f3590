"""The low-water mark: one enter and one leave, floors on both sides, and a month that lasts."""

import json
from dataclasses import replace
from fractions import Fraction
from io import StringIO

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from budgets.services.rule_parts import Priority
from routing.services.low_water import (
    DEFAULT_MARKS,
    Pool,
    Serving,
    is_degraded,
    projected_ppm,
    serving,
)
from routing.services.low_water_month import Month, Policy, simulate

HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW
ALLOCATED = 1_000_000


def pool(left: int, *, reserved: int = 0) -> Pool:
    """Of a million; so many are left."""
    return Pool(allocated=ALLOCATED, spent=ALLOCATED - left - reserved, reserved=reserved)


def states(*left: int, projected: int = 0) -> list[bool]:
    """The states after looking at pools one after the other."""
    degraded, seen = False, []
    for each in left:
        degraded = is_degraded(was_degraded=degraded, pool=pool(each), projected=projected)
        seen.append(degraded)
    return seen


class TestHysteresis:
    def test_of_20_1_and_19_9_and_24_and_26_percent_is_one_enter_and_one_leave(self) -> None:
        assert states(201_000, 199_000, 240_000, 260_000) == [False, True, True, False]

    @pytest.mark.parametrize(("left", "degraded"), [(200_000, False), (199_999, True)])
    def test_enters_below_the_mark_and_not_at_it(self, left: int, degraded: bool) -> None:
        assert states(left) == [degraded]

    @pytest.mark.parametrize(("left", "degraded"), [(250_000, True), (250_001, False)])
    def test_leaves_above_the_mark_and_not_at_it(self, left: int, degraded: bool) -> None:
        assert states(100_000, left) == [True, degraded]

    def test_counts_what_is_reserved_as_gone(self) -> None:
        held = pool(199_999, reserved=800_000)

        assert is_degraded(was_degraded=False, pool=held)

    def test_begins_anew_at_a_reset(self) -> None:
        assert not is_degraded(was_degraded=False, pool=pool(220_000))

    @pytest.mark.parametrize("allocated", [0, -1])
    def test_is_degraded_where_nothing_is_allocated(self, allocated: int) -> None:
        assert is_degraded(was_degraded=False, pool=Pool(allocated=allocated, spent=0))

    @given(
        st.integers(1, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.booleans(), st.booleans()
    )
    def test_is_what_the_shares_say(
        self, allocated: int, spent: int, reserved: int, was: bool, at_the_mark: bool
    ) -> None:
        spent = allocated * 8 // 10 if at_the_mark else spent
        reserved = 0 if at_the_mark else reserved
        share = Fraction(allocated - spent - reserved, allocated)

        found = is_degraded(was_degraded=was, pool=Pool(allocated=allocated, spent=spent, reserved=reserved))

        assert found == (share < Fraction(1, 5) or (was and share <= Fraction(1, 4)))


class TestForecast:
    def test_degrades_before_the_mark_is_reached(self) -> None:
        assert states(900_000, projected=1_000_001) == [True]
        assert states(900_000, projected=1_000_000) == [False]

    @pytest.mark.parametrize(("projected", "degraded"), [(900_001, True), (900_000, False)])
    def test_recovers_with_a_margin(self, projected: int, degraded: bool) -> None:
        assert is_degraded(was_degraded=True, pool=pool(900_000), projected=projected) is degraded

    def test_does_not_recover_a_pool_that_is_low(self) -> None:
        assert is_degraded(was_degraded=True, pool=pool(250_000), projected=0)

    @pytest.mark.parametrize(
        ("spent", "elapsed", "expected"),
        [(100_000, 10, 1_000_000), (100_000, 0, 0), (0, 10, 0), (100_000, 20, 500_000)],
    )
    def test_goes_on_as_the_period_began(self, spent: int, elapsed: int, expected: int) -> None:
        taken = Pool(allocated=ALLOCATED, spent=spent)

        assert projected_ppm(taken, elapsed_seconds=elapsed, period_seconds=100) == expected


class TestServing:
    @pytest.mark.parametrize(("left", "how"), [(50_000, Serving.OWN_MODEL), (49_999, Serving.COMPACT)])
    def test_of_high_priority_keeps_its_model_down_to_the_hard_floor(self, left: int, how: Serving) -> None:
        assert serving(priority=HIGH, pool=pool(left), degraded=True) == how

    @pytest.mark.parametrize(("left", "how"), [(50_000, Serving.COMPACT), (49_999, Serving.REFUSED)])
    def test_of_normal_priority_is_compact_down_to_its_floor(self, left: int, how: Serving) -> None:
        assert serving(priority=NORMAL, pool=pool(left), degraded=True) == how

    @pytest.mark.parametrize(("left", "how"), [(100_000, Serving.COMPACT), (99_999, Serving.REFUSED)])
    def test_of_low_priority_waits_first(self, left: int, how: Serving) -> None:
        assert serving(priority=LOW, pool=pool(left), degraded=True) == how

    @pytest.mark.parametrize("priority", list(Priority))
    def test_is_the_models_own_while_there_is_enough(self, priority: Priority) -> None:
        assert serving(priority=priority, pool=pool(500_000), degraded=False) == Serving.OWN_MODEL

    def test_keeps_to_marks_of_its_own(self) -> None:
        marks = replace(DEFAULT_MARKS, low_floor_ppm=300_000)

        assert serving(priority=LOW, pool=pool(299_999), degraded=False, marks=marks) == Serving.REFUSED


@pytest.fixture(scope="module")
def months() -> dict[Policy, Month]:
    return {policy: simulate(1, policy) for policy in Policy}


class TestMonth:
    def test_without_the_mark_dies_at_hour_389_with_53_percent_of_high_priority_served(
        self, months: dict[Policy, Month]
    ) -> None:
        month = months[Policy.WITHOUT]

        assert month.died_at_hour == 389
        assert month.served[HIGH] * 100 // month.calls[HIGH] == 53

    @pytest.mark.parametrize("policy", [Policy.MARK, Policy.FORECAST])
    def test_with_it_serves_all_of_high_priority_on_the_large_model(
        self, months: dict[Policy, Month], policy: Policy
    ) -> None:
        month = months[policy]

        assert month.died_at_hour is None
        assert month.on_large[HIGH] == month.served[HIGH] == month.calls[HIGH]
        assert month.served[NORMAL] == month.calls[NORMAL]

    def test_with_the_mark_alone_enters_once(self, months: dict[Policy, Month]) -> None:
        assert (months[Policy.MARK].entered, months[Policy.MARK].left) == (1, 0)

    def test_never_spends_more_than_its_budget(self, months: dict[Policy, Month]) -> None:
        assert all(month.spent <= month.allocated for month in months.values())

    @pytest.mark.parametrize("seed", [2, 3, 4])
    def test_of_another_seed_lasts_too(self, seed: int) -> None:
        month = simulate(seed, Policy.MARK)

        assert month.died_at_hour is None
        assert month.on_large[HIGH] == month.calls[HIGH]

    def test_of_a_seed_is_the_same_again(self, months: dict[Policy, Month]) -> None:
        assert simulate(1, Policy.WITHOUT) == months[Policy.WITHOUT]


class TestCommand:
    def test_prints_its_three_lines(self) -> None:
        lines = _say("simulate_low_water").splitlines()

        assert len(lines) == 4
        assert lines[1].startswith("Without the mark: the pool dies at hour 389; high 53 % served")
        assert "high 100 % served (100 % on the large model)" in lines[2]
        assert "high 100 % served (100 % on the large model)" in lines[3]

    def test_gives_the_figures_to_programs(self) -> None:
        figures = json.loads(_say("simulate_low_water", "--json", "--seed", "2"))

        assert (figures["seed"], [each["policy"] for each in figures["policies"]]) == (2, list(Policy))


def _say(*arguments: str) -> str:
    said = StringIO()
    call_command(*arguments, stdout=said)
    return said.getvalue()

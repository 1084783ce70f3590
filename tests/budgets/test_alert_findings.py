"""What is worth an alert: both sides of every mark, on the way up and on the way down."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from budgets.models.choices import AlertKind, Severity
from budgets.services.alert_findings import Finding, Key
from budgets.services.alert_rules import Rule, Rules
from budgets.services.alert_tenant_findings import (
    DENIED_MIN,
    ExpiringKey,
    TenantSight,
    key_findings,
    tenant_findings,
)
from kernel.money import Unit

DOLLAR = 10**8
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0) + timedelta(days=1)
SIGHT = TenantSight(
    as_of=NOW,
    scope_path="tenant:acme",
    unit=Unit.USD_MICROCENTS,
    allocated=200 * DOLLAR,
    remaining=100 * DOLLAR,
    period="2026-11-22T00:00:00+00:00",
    period_ends_at=MIDNIGHT,
    day="2026-11-22",
    day_ends_at=MIDNIGHT,
    spent_hour=10 * DOLLAR,
    mean_hour=10 * DOLLAR,
    calls_hour=1_000,
    denied_hour=0,
    denied_causes={},
    exhausts_at=None,
    top_agent="",
)
SIX_HOURS = timedelta(hours=6)


def found(sight: TenantSight, *, rules: Rules | None = None, is_open: frozenset[Key] = frozenset()) -> list[Finding]:
    return list(tenant_findings(sight, rules=rules or Rules(), is_open=is_open))


def kinds(sight: TenantSight, *, is_open: frozenset[Key] = frozenset()) -> list[AlertKind]:
    return [each.kind for each in found(sight, is_open=is_open)]


def opened(sight: TenantSight) -> frozenset[Key]:
    """The alerts that such a sight has opened."""
    keys = frozenset(each.key for each in found(sight))
    assert keys
    return keys


class TestForecast:
    @pytest.mark.parametrize(("lasts", "is_found"), [(SIX_HOURS, True), (SIX_HOURS + timedelta(seconds=1), False)])
    def test_warns_from_six_hours_on(self, lasts: timedelta, is_found: bool) -> None:
        assert bool(kinds(replace(SIGHT, exhausts_at=NOW + lasts))) == is_found

    @pytest.mark.parametrize(
        ("lasts", "is_found"), [(SIX_HOURS * 5 / 4, True), (SIX_HOURS * 5 / 4 + timedelta(seconds=1), False)]
    )
    def test_recovers_beyond_five_quarters_of_it(self, lasts: timedelta, is_found: bool) -> None:
        is_open = opened(replace(SIGHT, exhausts_at=NOW + SIX_HOURS))

        assert bool(kinds(replace(SIGHT, exhausts_at=NOW + lasts), is_open=is_open)) == is_found

    def test_says_how_long_and_how_much(self) -> None:
        (finding,) = found(replace(SIGHT, exhausts_at=NOW + timedelta(hours=2, minutes=5)))

        assert finding.summary == (
            "The tenant's own budget lasts 2 h 5 min more at the pace of the last hour: $100.00 left."
        )
        assert (finding.period, finding.period_ends_at) == (SIGHT.period, MIDNIGHT)

    def test_leaves_what_is_used_up_to_its_own_alert(self) -> None:
        assert kinds(replace(SIGHT, exhausts_at=NOW, remaining=0)) == []

    def test_never_says_that_nothing_lasts(self) -> None:
        (finding,) = found(replace(SIGHT, exhausts_at=NOW + timedelta(seconds=5)))

        assert "lasts 1 min more" in finding.summary


class TestBurnRate:
    @pytest.mark.parametrize(("spent", "is_found"), [(30 * DOLLAR, True), (30 * DOLLAR - 1, False)])
    def test_is_unusual_from_three_times_the_mean_on(self, spent: int, is_found: bool) -> None:
        assert bool(kinds(replace(SIGHT, spent_hour=spent))) == is_found

    @pytest.mark.parametrize(("spent", "is_found"), [(24 * DOLLAR, True), (24 * DOLLAR - 1, False)])
    def test_is_usual_again_below_four_fifths_of_that(self, spent: int, is_found: bool) -> None:
        is_open = opened(replace(SIGHT, spent_hour=30 * DOLLAR))

        assert bool(kinds(replace(SIGHT, spent_hour=spent), is_open=is_open)) == is_found

    @pytest.mark.parametrize(("spent", "is_found"), [(2 * DOLLAR, True), (2 * DOLLAR - 1, False)])
    def test_is_not_made_of_cents(self, spent: int, is_found: bool) -> None:
        assert bool(kinds(replace(SIGHT, spent_hour=spent, mean_hour=1))) == is_found

    def test_needs_a_past(self) -> None:
        assert kinds(replace(SIGHT, spent_hour=30 * DOLLAR, mean_hour=0)) == []

    def test_names_the_agent(self) -> None:
        (finding,) = found(replace(SIGHT, spent_hour=45 * DOLLAR, top_agent="triage"))

        assert finding.summary == (
            "$45.00 were spent in the last hour, 4.5 times the mean of seven days ($10.00), most of it by agent triage."
        )
        assert finding.period == "2026-11-22"


class TestDenials:
    @pytest.mark.parametrize(
        ("denied", "calls", "is_found"),
        [(20, 180, True), (20, 181, False), (DENIED_MIN, 0, True), (DENIED_MIN - 1, 0, False), (0, 0, False)],
    )
    def test_are_a_spike_from_a_tenth_of_the_calls_on(self, denied: int, calls: int, is_found: bool) -> None:
        sight = replace(SIGHT, denied_hour=denied, calls_hour=calls, denied_causes={"BUDGET_EXCEEDED": denied})

        assert bool(kinds(sight)) == is_found

    @pytest.mark.parametrize(
        ("denied", "calls", "is_found"), [(80, 920, True), (79, 921, False), (10, 0, True), (9, 0, False)]
    )
    def test_are_over_clearly_below_that(self, denied: int, calls: int, is_found: bool) -> None:
        is_open = opened(replace(SIGHT, denied_hour=100, calls_hour=900))

        assert bool(kinds(replace(SIGHT, denied_hour=denied, calls_hour=calls), is_open=is_open)) == is_found

    def test_name_their_commonest_cause(self) -> None:
        causes = {"RATE_LIMITED": 20, "BUDGET_EXCEEDED": 100}
        (finding,) = found(replace(SIGHT, denied_hour=120, calls_hour=232, denied_causes=causes))

        assert finding.summary == (
            "34% of the calls of the last hour were refused, 120 of 352, most often BUDGET_EXCEEDED."
        )


class TestRules:
    def test_may_be_switched_off(self) -> None:
        sight = replace(SIGHT, spent_hour=90 * DOLLAR)
        rules = Rules(of_kinds={AlertKind.BURN_RATE: Rule((3_000_000,), is_on=False)})

        assert found(sight, rules=rules) == []

    def test_may_have_other_marks(self) -> None:
        rules = Rules(of_kinds={AlertKind.BURN_RATE: Rule((5_000_000,))})

        assert found(replace(SIGHT, spent_hour=50 * DOLLAR - 1), rules=rules) == []
        assert len(found(replace(SIGHT, spent_hour=50 * DOLLAR), rules=rules)) == 1


class TestKeys:
    def ends_in(self, span: timedelta) -> list[Finding]:
        key = ExpiringKey(key_id="abc", name="triage", expires_at=NOW + span)
        return list(key_findings([key], rules=Rules(), now=NOW))

    def test_are_told_two_weeks_before_and_warned_of_three_days_before(self) -> None:
        assert self.ends_in(timedelta(days=14, seconds=1)) == []
        assert [each.severity for each in self.ends_in(timedelta(days=14))] == [Severity.NOTICE]
        assert len(self.ends_in(timedelta(days=3, seconds=1))) == 1
        assert [each.severity for each in self.ends_in(timedelta(days=3))] == [Severity.WARNING, Severity.NOTICE]

    def test_are_named_without_their_secret(self) -> None:
        (finding,) = self.ends_in(timedelta(days=10))

        assert finding.summary == "The key triage (abc) expires within 14 days. Make a new one in time."
        assert finding.period == (NOW + timedelta(days=10)).isoformat()

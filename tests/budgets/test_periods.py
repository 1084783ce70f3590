"""Periods: they tile the line in every time zone, and a budget is opened in the one that holds now."""

from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from budgets.models import Budget
from budgets.models.choices import Period, Rollover
from budgets.scopes import read_scope_path
from budgets.services.opening import NewBudget, NoPeriod, calendar_anchor, open_budget, period_bounds
from kernel.actor import Actor
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books

ADA = Actor(name="ada", actor_type="api_key")
BERLIN, KOLKATA = "Europe/Berlin", "Asia/Kolkata"
MICROSECOND = timedelta(microseconds=1)


def bounds(period: str, anchor: date, zone: str, at: datetime) -> tuple[datetime, datetime]:
    return cast("tuple[datetime, datetime]", period_bounds(Period(period), anchor=anchor, time_zone=zone, at=at))


def local(zone: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone))  # type: ignore[arg-type,misc]


@pytest.fixture
def sql(acme: Tenant) -> object:
    """The functions of a tenant's schema within reach."""
    connection.set_tenant(acme)  # type: ignore[attr-defined]
    return acme


@pytest.mark.usefixtures("sql")
class TestDay:
    def test_lasts_23_hours_when_clocks_go_forward(self) -> None:
        start, end = bounds("DAY", date(2026, 1, 1), BERLIN, local(BERLIN, 2027, 3, 28, 12))

        assert (start, end) == (local(BERLIN, 2027, 3, 28), local(BERLIN, 2027, 3, 29))
        assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=23)

    def test_lasts_25_hours_when_clocks_go_back(self) -> None:
        start, end = bounds("DAY", date(2026, 1, 1), BERLIN, local(BERLIN, 2026, 10, 25, 12))

        assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=25)

    def test_begins_at_half_past_in_kolkata(self) -> None:
        start, _ = bounds("DAY", date(2026, 1, 1), KOLKATA, datetime(2026, 6, 1, 18, 29, 59, tzinfo=UTC))
        following, _ = bounds("DAY", date(2026, 1, 1), KOLKATA, datetime(2026, 6, 1, 18, 30, tzinfo=UTC))

        assert start == datetime(2026, 5, 31, 18, 30, tzinfo=UTC)
        assert following == datetime(2026, 6, 1, 18, 30, tzinfo=UTC)

    def test_holds_the_hour_that_comes_twice_around_midnight(self) -> None:
        """Havana sets its clocks back from one to midnight: 04:30 UTC is 00:30 for the first time."""
        at = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)

        start, end = bounds("DAY", date(2026, 1, 1), "America/Havana", at)

        assert start <= at < end


@pytest.mark.usefixtures("sql")
class TestWeek:
    def test_begins_on_the_anchors_day(self) -> None:
        start, end = bounds("WEEK", date(2026, 1, 5), KOLKATA, local(KOLKATA, 2026, 3, 4, 9))

        assert (start, end) == (local(KOLKATA, 2026, 3, 2), local(KOLKATA, 2026, 3, 9))

    def test_before_the_anchor_counts_backwards(self) -> None:
        start, end = bounds("WEEK", date(2026, 1, 5), KOLKATA, local(KOLKATA, 2026, 1, 4, 23))

        assert (start, end) == (local(KOLKATA, 2025, 12, 29), local(KOLKATA, 2026, 1, 5))


@pytest.mark.usefixtures("sql")
class TestMonth:
    @pytest.mark.parametrize(
        ("at", "start", "end"),
        [
            ((2026, 2, 10), (2026, 1, 31), (2026, 2, 28)),
            ((2026, 2, 28), (2026, 2, 28), (2026, 3, 31)),
            ((2026, 3, 30), (2026, 2, 28), (2026, 3, 31)),
            ((2026, 3, 31), (2026, 3, 31), (2026, 4, 30)),
            ((2028, 2, 29), (2028, 2, 29), (2028, 3, 31)),
            ((2028, 2, 28), (2028, 1, 31), (2028, 2, 29)),
        ],
    )
    def test_keeps_the_anchors_day_through_short_months(
        self, at: tuple[int, ...], start: tuple[int, ...], end: tuple[int, ...]
    ) -> None:
        assert bounds("MONTH", date(2026, 1, 31), BERLIN, local(BERLIN, *at, 12)) == (
            local(BERLIN, *start),
            local(BERLIN, *end),
        )

    def test_from_a_leap_day_falls_on_the_28th_in_other_years(self) -> None:
        start, end = bounds("MONTH", date(2028, 2, 29), KOLKATA, local(KOLKATA, 2029, 3, 1, 9))

        assert (start, end) == (local(KOLKATA, 2029, 2, 28), local(KOLKATA, 2029, 3, 29))


# What both Python's and PostgreSQL's time zone database know.
@st.composite
def zones(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})))


instants = st.integers(788_918_400, 2_366_841_600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
anchors = st.dates(date(1990, 1, 1), date(2050, 12, 31))


@pytest.mark.usefixtures("sql")
class TestTiling:
    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(period=st.sampled_from(["DAY", "WEEK", "MONTH"]), anchor=anchors, zone=zones(), at=instants)
    @example(period="DAY", anchor=date(2026, 1, 1), zone="America/Havana", at=datetime(2026, 11, 1, 4, 30, tzinfo=UTC))
    @example(period="DAY", anchor=date(2026, 1, 1), zone="Africa/Cairo", at=datetime(2026, 4, 23, 22, tzinfo=UTC))
    @example(period="DAY", anchor=date(2011, 12, 1), zone="Pacific/Apia", at=datetime(2011, 12, 30, 9, tzinfo=UTC))
    @example(period="MONTH", anchor=date(2026, 1, 31), zone=BERLIN, at=datetime(2026, 2, 28, 23, tzinfo=UTC))
    def test_every_instant_is_in_one_period_and_neighbours_touch(
        self, period: str, anchor: date, zone: str, at: datetime
    ) -> None:
        start, end = bounds(period, anchor, zone, at)

        assert start <= at < end
        assert bounds(period, anchor, zone, start) == (start, end)
        assert bounds(period, anchor, zone, end - MICROSECOND) == (start, end)
        assert bounds(period, anchor, zone, end)[0] == end
        assert bounds(period, anchor, zone, start - MICROSECOND)[1] == start


class TestAnchor:
    @pytest.mark.parametrize(
        ("period", "anchor"),
        [
            ("DAY", date(2027, 1, 1)),
            ("WEEK", date(2026, 12, 28)),
            ("MONTH", date(2027, 1, 1)),
            ("ONE_OFF", date(2027, 1, 1)),
        ],
    )
    def test_is_the_first_day_of_the_calendar_period_where_the_tenant_lives(self, period: str, anchor: date) -> None:
        # Still 2026 in UTC, Friday in Kolkata.
        now = datetime(2026, 12, 31, 20, tzinfo=UTC)

        assert calendar_anchor(Period(period), now=now, time_zone=KOLKATA) == anchor


class TestOpenedBudget:
    def opened(self, tenant: Tenant, **fields: object) -> Budget:
        known: dict[str, object] = {"unit": Unit.USD_MICROCENTS, "allocated": 100}
        new = NewBudget(scope=read_scope_path("tenant:acme", slug="acme"), **known | fields)  # type: ignore[arg-type]
        with in_tenant(tenant.tag):
            return open_budget(new, actor=ADA)

    @pytest.mark.parametrize("period", ["DAY", "WEEK", "MONTH"])
    def test_is_in_the_calendar_period_that_holds_now(self, acme: Tenant, period: str) -> None:
        budget = self.opened(acme, period=Period(period))

        assert budget.period_starts_at is not None
        assert budget.period_ends_at is not None
        assert budget.period_starts_at <= budget.created_at < budget.period_ends_at
        midnight = budget.period_starts_at.astimezone(ZoneInfo(KOLKATA))
        assert (midnight.hour, midnight.minute) == (0, 0)
        assert budget.period_allocation == 100
        assert {"DAY": True, "WEEK": midnight.weekday() == 0, "MONTH": midnight.day == 1}[period]

    def test_without_period_has_no_bounds(self, acme: Tenant) -> None:
        budget = self.opened(acme)

        assert (budget.period_starts_at, budget.period_ends_at, budget.period_allocation) == (None, None, 0)

    @pytest.mark.parametrize("fields", [{"rollover": Rollover.CARRY_FORWARD}, {"period_allocation": 1}])
    def test_without_period_rolls_nothing_over(self, acme: Tenant, fields: dict[str, object]) -> None:
        with pytest.raises(NoPeriod):
            self.opened(acme, **fields)

    def test_is_rolled_over_by_the_first_reservation_of_its_next_period(self, acme: Tenant) -> None:
        books = Books(acme)
        budget = self.opened(acme, period=Period.DAY, period_allocation=40)
        with in_tenant(acme.tag):
            yesterday = timedelta(days=1)
            Budget.objects.filter(pk=budget.pk).update(
                period_starts_at=cast("datetime", budget.period_starts_at) - yesterday,
                period_ends_at=cast("datetime", budget.period_ends_at) - yesterday,
            )

        assert books.ask("reserve", amount=41).status == "BUDGET_EXCEEDED"
        assert books.ask("reserve", amount=40).status == "OK"

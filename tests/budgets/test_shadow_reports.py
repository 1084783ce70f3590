"""What shadow mode reports: would-be refusals, held against charged, limits from the last four comparable periods."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.models import LedgerEntry, LedgerHead
from budgets.models.choices import Period
from budgets.selectors import recommended_limits as limits_module
from budgets.selectors import shadow as shadow_module
from budgets.selectors.ledger_times import last_seq_before
from budgets.selectors.recommended_limits import (
    Recommendation,
    TooMuchToRead,
    nearest_rank,
    recommended_limits,
)
from budgets.selectors.shadow import HoldRatio, hold_ratios, would_deny
from budgets.services.corrections import Correction, correct_charge
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.owner import as_owner, let_time_pass
from tests.support.rules import rule

OLIVE = Actor(name="olive", actor_type="admin", reason="the list was wrong")
PROD = ["", "/workspace:prod"]
INDIA = ZoneInfo("Asia/Kolkata")


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


def now() -> datetime:
    return datetime.now(UTC)


def spend(books: Books, *amounts: int, **fields: Any) -> None:
    for amount in amounts:
        assert books.ask("event", amount=amount, idem=uuid7().hex, **fields).status == "OK"


def report(books: Books, **options: Any) -> list[Recommendation]:
    with in_tenant(books.tenant.tag):
        return recommended_limits(now=now(), **options)


class TestWouldDeny:
    def test_counts_by_scope_and_reason(self, books: Books) -> None:
        books.add_budget("/workspace:prod", allocated=10)
        rule(books, shadow={"is_on": True}, limits={"runs_per_day_max": 1})
        for number in range(3):
            assert books.ask("reserve", amount=11, suffixes=PROD).status == "OK"
            assert books.ask("reserve", amount=1, run=f"r{number}").status == "OK"
        assert books.ask("reserve", amount=1).status == "OK"

        with in_tenant(books.tenant.tag):
            found = would_deny(since=now() - timedelta(hours=1), until=now() + timedelta(hours=1))
            later = would_deny(since=now() + timedelta(hours=1), until=now() + timedelta(hours=2))

        assert {(each.scope_path, each.reason_code, each.calls) for each in found} == {
            ("tenant:acme/workspace:prod", "BUDGET_EXCEEDED", 3),
            ("tenant:acme", "RUNS_PER_DAY_EXCEEDED", 2),
        }
        assert found[0].calls == 3
        assert all(each.first_at <= each.last_at for each in found)
        assert later == []

    def test_counts_nothing_that_was_really_refused(self, books: Books) -> None:
        assert books.ask("reserve", amount=10**10).status == "BUDGET_EXCEEDED"

        with in_tenant(books.tenant.tag):
            assert would_deny(since=now() - timedelta(hours=1), until=now() + timedelta(hours=1)) == []


class TestHoldRatios:
    def settle(self, books: Books, held: int, used: int, **fields: Any) -> None:
        hold = books.ask("reserve", amount=held, idem=uuid7().hex, **fields)
        assert books.ask("commit", target=hold.id, amount=used, idem=uuid7().hex).status == "OK"

    def read(self, books: Books, **options: Any) -> Any:
        with in_tenant(books.tenant.tag):
            known = {"since": now() - timedelta(hours=1), "until": now() + timedelta(hours=1)} | options
            return hold_ratios(**known)

    def test_are_held_by_charged(self, books: Books) -> None:
        books.add_budget("/workspace:prod", allocated=10**6)
        self.settle(books, 100, 50)
        self.settle(books, 300, 50, suffixes=PROD)
        released = books.ask("reserve", amount=999)
        books.ask("release", target=released.id)

        root, prod = self.read(books).ratios

        assert root == HoldRatio(
            scope_path="tenant:acme", unit="USD_MICROCENTS", commits=2, held=400, charged=100, actual=100
        )
        assert (root.ratio_ppm, prod.ratio_ppm) == (4_000_000, 6_000_000)

    def test_are_of_the_time_that_was_asked_for(self, books: Books) -> None:
        self.settle(books, 100, 50)
        let_time_pass(books.tenant.tag, timedelta(days=2))
        self.settle(books, 30, 10)

        assert [each.held for each in self.read(books).ratios] == [30]
        assert [each.held for each in self.read(books, since=now() - timedelta(days=3)).ratios] == [130]
        two_days = {"since": now() - timedelta(days=3), "until": now() - timedelta(days=1)}
        assert [each.held for each in self.read(books, **two_days).ratios] == [100]

    def test_say_how_far_they_came(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(3):
            self.settle(books, 2, 1)
        monkeypatch.setattr(shadow_module, "STEP", 2)
        whole = self.read(books)
        monkeypatch.setattr(shadow_module, "SECONDS_MAX", 0.0)
        cut = self.read(books)

        assert (whole.ratios[0].commits, whole.read_since) == (3, None)
        assert cut.ratios == ()
        assert cut.read_since is not None

    def test_have_none_where_nothing_was_charged(self, books: Books) -> None:
        self.settle(books, 100, 0)

        assert self.read(books).ratios[0].ratio_ppm is None


class TestLedgerTimes:
    def test_are_found_by_number(self, books: Books) -> None:
        for _ in range(5):
            spend(books, 1)
            let_time_pass(books.tenant.tag, timedelta(hours=1))
        with in_tenant(books.tenant.tag):
            times = list(LedgerEntry.objects.order_by("seq").values_list("seq", "at"))
            for seq, at in times:
                assert last_seq_before(at + timedelta(microseconds=1)) == seq
                assert last_seq_before(at) == max((number for number, other in times if other < at), default=0)
            assert last_seq_before(now() + timedelta(days=1)) == LedgerHead.objects.get().last_seq

    def test_of_empty_books_are_none(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            assert last_seq_before(now()) == 0


class TestNearestRank:
    @pytest.mark.parametrize(
        ("values", "quantile"),
        [([5], 5), ([1, 2, 3, 4], 4), (list(range(1, 101)), 99), (list(range(1, 102)), 100), ([7, 7, 1], 7)],
    )
    def test_is_a_value_that_99_per_cent_do_not_exceed(self, values: list[int], quantile: int) -> None:
        assert nearest_rank(values, per_cent=99) == quantile

    @given(st.lists(st.integers(0, 10**18), min_size=1, max_size=300))
    def test_is_the_smallest_such_value(self, values: list[int]) -> None:
        found = nearest_rank(values, per_cent=99)

        assert found in values
        assert 100 * sum(value <= found for value in values) >= 99 * len(values)
        assert 100 * sum(value < found for value in values) < 99 * len(values)


class TestRecommendedLimits:
    @pytest.fixture
    def weekly(self, books: Books) -> Books:
        """A budget by week, with 100 calls in each of the last four weeks, each week dearer than the one before it."""
        monday = datetime.now(INDIA).date() - timedelta(days=datetime.now(INDIA).weekday())
        start = datetime(monday.year, monday.month, monday.day, tzinfo=INDIA)
        books.add_budget(
            "/workspace:prod",
            allocated=10**6,
            period=Period.WEEK,
            period_allocation=10**6,
            period_starts_at=start,
            period_ends_at=start + timedelta(days=7),
        )
        as_owner(books.tenant.tag, f"UPDATE budget SET anchor = '{date(2026, 1, 5)}' WHERE period = 'WEEK'")
        for _ in range(4):
            spend(books, *[10] * 24, 40, suffixes=PROD)
            let_time_pass(books.tenant.tag, timedelta(days=7))
        return books

    def test_are_p99_times_1_2_of_periods_and_of_calls(self, weekly: Books) -> None:
        spend(weekly, 300, 49, 48, suffixes=PROD)

        [found] = report(weekly, scope_path="tenant:acme/workspace:prod")

        assert (found.period, found.granted) == (Period.WEEK, 10**6)
        assert [(each.calls, each.used) for each in found.periods] == [(25, 280)] * 4
        assert (found.now.calls, found.now.used) == (3, 397)
        assert found.a_period is not None
        assert found.a_call is not None
        # Of four sums the 99th percentile is the largest.
        assert (found.a_period.p99, found.a_period.limit) == (280, 336)
        # 300 is refused nothing; then 49 would not fit, and neither would 48.
        assert (found.a_period.refused, found.a_period.refused_now) == (0, 2)
        assert (found.a_call.p99, found.a_call.limit) == (40, 48)
        assert (found.a_call.refused, found.a_call.refused_now) == (0, 2)

    def test_count_what_a_limit_on_calls_would_have_refused(self, books: Books) -> None:
        for number in range(4):
            spend(books, *[10] * 74, *([100] if number == 0 else [10]))
            let_time_pass(books.tenant.tag, timedelta(days=7))

        [found] = report(books, period=Period.WEEK)

        assert found.a_call is not None
        # 300 calls: the 297th in order of cost still costs 10.
        assert (found.a_call.p99, found.a_call.limit, found.a_call.refused) == (10, 12, 1)

    def test_round_the_margin_up(self, books: Books) -> None:
        spend(books, 1)
        let_time_pass(books.tenant.tag, timedelta(days=7))

        [found] = report(books, period=Period.WEEK)

        assert found.a_period is not None
        assert (found.a_period.p99, found.a_period.limit) == (1, 2)

    def test_compare_a_day_with_the_same_weekday(self, books: Books) -> None:
        for days in (7, 6, 8, 7):
            spend(books, 10)
            let_time_pass(books.tenant.tag, timedelta(days=days))

        [found] = report(books, period=Period.DAY)

        # 7, 15, 21 and 28 days ago: the second is another weekday.
        assert [each.calls for each in found.periods] == [1, 0, 1, 1]
        today = datetime.now(INDIA).date()
        assert [each.starts_at.astimezone(INDIA).date() for each in found.periods] == [
            today - timedelta(days=7 * ago) for ago in (1, 2, 3, 4)
        ]

    def test_take_corrections_into_account(self, books: Books) -> None:
        spend(books, 100)
        correction = Correction(seq=2, unit=Unit.USD_MICROCENTS, amount=40, idempotency_key="k")
        with in_tenant(books.tenant.tag):
            correct_charge(correction=correction, actor=OLIVE)
        let_time_pass(books.tenant.tag, timedelta(days=7))

        [found] = report(books, period=Period.WEEK)

        assert (found.periods[0].calls, found.periods[0].used) == (1, 40)

    def test_recommend_nothing_without_a_call(self, books: Books) -> None:
        spend(books, 5)

        [found] = report(books)

        assert (found.period, found.now.calls) == (Period.MONTH, 1)
        assert (found.a_period, found.a_call) == (None, None)

    def test_leave_out_the_budgets_of_runs_and_closed_ones(self, books: Books) -> None:
        books.add_budget("/run:r1", allocated=5, run_id="r1")
        books.add_budget("/workspace:old", allocated=5, status="CLOSED")

        assert [each.scope_path for each in report(books)] == ["tenant:acme"]

    def test_say_when_there_is_too_much_to_read(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        spend(books, 5)
        monkeypatch.setattr(limits_module, "SECONDS_MAX", -1.0)

        with pytest.raises(TooMuchToRead):
            report(books)

"""How tenants stand: noted by the worker's visit, read by pages about many tenants."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from budgets.models.choices import Period
from budgets.services.visits import visit_books
from budgets.tasks import dispatch_rollups
from config.celery import app
from kernel.ids import Tag
from kernel.money import Unit
from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStanding, TenantStatus
from tenants.selectors.standing import Order, Standing, standing_of, standing_page, standing_totals
from tenants.services import standing
from tests.support.books import Books
from tests.support.owner import as_owner, head_held, let_time_pass

DOLLAR = 10**8
#: The first statement in another schema sets the search path.
ONE_AND_ITS_PATH = 2


def visit(books: Books) -> None:
    assert visit_books(tag=books.tenant.tag, has_time=lambda: True).is_done


def stands(books: Books, *, now: datetime | None = None) -> Standing:
    line = standing_of(books.tenant.slug, now=now or datetime.now(UTC))
    assert line is not None
    assert line.standing is not None
    return line.standing


def spend(books: Books, amount: int, *, agent: str = "a") -> None:
    subject = {"tenant": books.tenant.slug, "agent": agent}
    assert books.ask("event", amount=amount, subject=subject, suffixes=["", f"/agent:{agent}"]).status == "OK"


def flushed_counts() -> None:
    """PostgreSQL writes its counters down at the end of a transaction, at most once a second."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT 1")


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


@pytest.fixture
def other(initech: Tenant) -> Books:
    return Books(initech)


class TestVisit:
    def test_notes_the_tenants_own_budget_in_dollars_first(self, books: Books) -> None:
        books.add_budget(allocated=500, unit=Unit.CREDITS)
        books.add_budget(allocated=10 * DOLLAR)
        books.ask("reserve", amount=DOLLAR)
        spend(books, 4 * DOLLAR)

        visit(books)

        now = stands(books)
        assert now.unit == Unit.USD_MICROCENTS
        assert (now.allocated, now.reserved, now.spent) == (10 * DOLLAR, DOLLAR, 4 * DOLLAR)
        assert (now.remaining, now.taken_ppm, now.more_budgets) == (5 * DOLLAR, 500_000, 1)
        assert (now.holds_open, now.oldest_hold_at is not None) == (1, True)

    def test_takes_another_unit_where_there_are_no_dollars(self, books: Books) -> None:
        books.add_budget(allocated=500, unit=Unit.TOKENS)

        visit(books)

        assert (stands(books).unit, stands(books).more_budgets) == (Unit.TOKENS, 0)

    def test_says_so_little_of_a_tenant_without_a_budget(self, books: Books) -> None:
        visit(books)

        now = stands(books)
        assert (now.unit, now.allocated, now.exhausts_at, now.quarters) == ("", 0, None, (0,) * 96)

    def test_notes_what_the_last_hour_cost_and_who_it_was(self, books: Books) -> None:
        books.add_budget(allocated=10 * DOLLAR)
        spend(books, 300, agent="a")
        spend(books, 100, agent="b")

        visit(books)

        now = stands(books)
        assert (now.spent_hour, now.calls_hour, now.spent_today, now.spent_day) == (400, 2, 400, 400)
        assert (now.top_agent, now.top_agent_ppm) == ("a", 750_000)
        assert now.quarters[-1] == 400
        assert now.mean_hour_7d == 400

    def test_counts_refusals_by_reason_for_sixty_minutes(self, books: Books) -> None:
        books.add_budget(allocated=10)
        for _ in range(3):
            books.ask("reserve", amount=11)
        let_time_pass(books.tenant.tag, timedelta(minutes=59, seconds=50))
        books.ask("reserve", amount=11)
        visit(books)
        assert (stands(books).denied_hour, stands(books).denied_causes) == (4, {"BUDGET_EXCEEDED": 4})

        let_time_pass(books.tenant.tag, timedelta(seconds=11))
        visit(books)

        assert (stands(books).denied_hour, stands(books).denied_causes) == (1, {"BUDGET_EXCEEDED": 1})

    def test_foretells_when_nothing_is_left(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 250)

        visit(books)

        now = stands(books)
        assert now.exhausts_at is not None
        assert now.exhausts_at - now.as_of == timedelta(hours=3)

    def test_foretells_nothing_beyond_the_periods_end(self, books: Books) -> None:
        now = datetime.now(UTC)
        bounds: dict[str, Any] = {
            "period_starts_at": now - timedelta(hours=1),
            "period_ends_at": now + timedelta(hours=2),
        }
        books.add_budget(allocated=1_000, period=Period.DAY, period_allocation=1_000, **bounds)
        spend(books, 250)

        visit(books)

        assert stands(books).exhausts_at is None

    def test_opens_the_period_that_is_due(self, books: Books) -> None:
        now = datetime.now(UTC)
        bounds: dict[str, Any] = {
            "period_starts_at": now - timedelta(hours=30),
            "period_ends_at": now - timedelta(hours=6),
        }
        books.add_budget(allocated=7, period=Period.DAY, period_allocation=1_000, **bounds)

        visit(books)

        assert stands(books).allocated == 1_000
        assert (stands(books).period_ends_at or now) > now

    def test_notes_what_there_is_while_somebody_holds_the_books(self, books: Books) -> None:
        now = datetime.now(UTC)
        bounds: dict[str, Any] = {
            "period_starts_at": now - timedelta(hours=30),
            "period_ends_at": now - timedelta(hours=6),
        }
        books.add_budget(allocated=7, period=Period.DAY, period_allocation=1_000, **bounds)

        with head_held(books.tenant):
            visit(books)

        assert stands(books).allocated == 7

    def test_begins_the_day_at_the_tenants_own_midnight(self, books: Books, other: Books) -> None:
        for each, hours in ((books, {18.5}), (other, {4, 5})):
            visit(each)
            note = TenantStanding.objects.get(tag=each.tenant.tag)
            assert note.day_starts_at is not None
            assert note.day_starts_at.hour + note.day_starts_at.minute / 60 in hours

    def test_of_an_older_moment_does_not_take_the_place_of_a_newer_one(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        visit(books)
        with in_public():
            TenantStanding.objects.filter(tag=books.tenant.tag).update(
                as_of=datetime.now(UTC) + timedelta(minutes=5), allocated=5
            )

        visit(books)

        assert stands(books).allocated == 5


class TestOldNote:
    def test_moves_its_quarters_along_with_the_clock(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 250)
        visit(books)
        later = stands(books).as_of

        assert stands(books, now=later + timedelta(minutes=30)).quarters[-3:] == (250, 0, 0)
        assert stands(books, now=later + timedelta(hours=24)).spent_day == 0

    def test_has_nothing_spent_on_the_next_day(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 250)
        visit(books)

        assert stands(books).spent_today == 250
        assert stands(books, now=datetime.now(UTC) + timedelta(days=1)).spent_today == 0


class TestPage:
    @pytest.fixture
    def two(self, books: Books, other: Books) -> tuple[Books, Books]:
        books.add_budget(allocated=1_000)
        spend(books, 100)
        other.add_budget(allocated=1_000)
        spend(other, 900)
        books.ask("reserve", amount=10_000)
        for each in (books, other):
            visit(each)
        return books, other

    @pytest.mark.parametrize(
        ("order", "slugs"),
        [
            (Order.SLUG, ["acme", "initech"]),
            (Order.RISK, ["initech", "acme"]),
            (Order.EXHAUSTION, ["initech", "acme"]),
            (Order.SPEND, ["initech", "acme"]),
            (Order.DENIALS, ["acme", "initech"]),
        ],
    )
    def test_is_in_the_order_asked_for_one_page_behind_the_other(
        self, two: tuple[Books, Books], order: Order, slugs: list[str]
    ) -> None:
        now = datetime.now(UTC)

        first = standing_page(now=now, order=order, limit=1)
        second = standing_page(now=now, order=order, limit=1, after=first.next_after or "")

        assert [line.tenant.slug for page in (first, second) for line in page.lines] == slugs
        assert second.next_after is None

    def test_has_tenants_that_were_never_visited_last(self, books: Books, other: Books) -> None:
        books.add_budget(allocated=1_000)
        visit(books)
        now = datetime.now(UTC)

        first = standing_page(now=now, limit=1)
        second = standing_page(now=now, limit=1, after=first.next_after or "")

        assert [line.tenant.slug for line in (*first.lines, *second.lines)] == ["acme", "initech"]
        assert second.lines[0].standing is None

    @pytest.mark.parametrize(
        ("asked", "slugs"),
        [
            ({"search": "INI"}, ["initech"]),
            ({"search": "%"}, []),
            ({"status": TenantStatus.SUSPENDED}, []),
            ({"status": TenantStatus.ACTIVE}, ["initech", "acme"]),
        ],
    )
    def test_has_only_what_is_looked_for(
        self, two: tuple[Books, Books], asked: dict[str, Any], slugs: list[str]
    ) -> None:
        page = standing_page(now=datetime.now(UTC), limit=10, **asked)

        assert [line.tenant.slug for line in page.lines] == slugs

    @pytest.mark.parametrize("cursor", ["x", "~", "1e9~acme", "9" * 41 + "~acme", "2026-01-01~acme"])
    def test_takes_any_cursor(self, two: tuple[Books, Books], cursor: str) -> None:
        for order in Order:
            standing_page(now=datetime.now(UTC), order=order, after=cursor, limit=1)

    def test_comes_in_one_query(
        self, two: tuple[Books, Books], django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        with django_assert_num_queries(ONE_AND_ITS_PATH):
            standing_page(now=datetime.now(UTC), limit=10)


class TestTotals:
    def test_add_up_all_tenants(
        self, books: Books, other: Books, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 960)
        books.ask("reserve", amount=7)
        books.ask("reserve", amount=10_000)
        other.add_budget(allocated=500, unit=Unit.TOKENS)
        other.ask("reserve", amount=10_000, unit="TOKENS")
        other.ask("reserve", amount=1)
        for each in (books, other):
            visit(each)

        with django_assert_num_queries(ONE_AND_ITS_PATH):
            totals = standing_totals(now=datetime.now(UTC))

        assert (totals.tenants, totals.noted) == (2, 2)
        assert (totals.spent_today, totals.spent_hour, totals.held) == (960, 960, 7)
        assert (totals.denied_hour, totals.tenants_denied, totals.holds_open) == (3, 2, 1)
        assert totals.causes == (("BUDGET_EXCEEDED", 2), ("UNIT_MISMATCH", 1))
        assert (totals.near, totals.exhausted, totals.exhausting) == (1, 0, 1)
        assert totals.quarters[-1] == 960
        assert len(totals.quarters) == 96


class TestDispatch:
    @pytest.fixture(autouse=True)
    def nobody_else(self, database: None) -> None:
        standing.forget_strangers()

    def asked(self) -> list[Tag]:
        standing.enrol_tenants()
        flushed_counts()
        return standing.ask_for_visits(limit=10)

    def test_asks_for_a_tenant_that_was_never_visited(self, books: Books) -> None:
        assert self.asked() == [books.tenant.tag]

    def test_asks_once_until_it_was_visited(self, books: Books) -> None:
        self.asked()

        assert self.asked() == []

    def test_asks_again_after_a_visit_that_never_ended(self, books: Books) -> None:
        self.asked()
        with in_public():
            TenantStanding.objects.update(asked_at=datetime.now(UTC) - timedelta(seconds=standing.RETRY_AFTER_S + 1))

        assert self.asked() == [books.tenant.tag]

    def test_leaves_an_idle_tenant_alone(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        settle(books)

        assert self.asked() == []

    def test_asks_for_a_tenant_with_something_new_and_for_no_other(self, books: Books, other: Books) -> None:
        books.add_budget(allocated=1_000)
        other.add_budget(allocated=1_000)
        settle(books)
        settle(other)

        books.add_budget("/agent:a", allocated=5)

        assert self.asked() == [books.tenant.tag]

    def test_asks_for_a_tenant_whose_note_is_no_longer_true(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 1)
        settle(books)
        assert self.asked() == []
        with in_public():
            TenantStanding.objects.update(revisit_at=datetime.now(UTC))

        assert self.asked() == [books.tenant.tag]

    def test_asks_for_a_tenant_whose_tables_were_made_anew(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        settle(books)
        as_owner(
            books.tenant.tag,
            "ALTER TABLE decision RENAME TO old_decision",
            "CREATE TABLE decision (LIKE old_decision INCLUDING ALL)",
        )
        standing.forget_strangers()

        with in_public():
            note = TenantStanding.objects.get(tag=books.tenant.tag)
            with connection.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s)::oid", [f"{books.tenant.schema_name}.decision"])
                assert cursor.fetchone()[0] == note.decision_table

    def test_forgets_a_tenant_that_is_gone(self, books: Books) -> None:
        self.asked()
        with in_public():
            TenantStanding.objects.update(tag="a" * 20)

        standing.forget_strangers()

        with in_public():
            assert not TenantStanding.objects.exists()


class TestTask:
    def test_rolls_up_what_the_dispatcher_has_found(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 250)
        app.conf.task_always_eager = True
        try:
            dispatch_rollups()
        finally:
            app.conf.task_always_eager = False

        assert stands(books).spent_hour == 250


def settle(books: Books) -> None:
    """Visit until nothing is new: PostgreSQL may count a row a moment after it can be seen."""
    flushed_counts()
    visit(books)
    flushed_counts()
    visit(books)

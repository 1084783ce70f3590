"""A visit of the worker: periods that nobody touches begin on time, once, whoever was away or came twice."""

import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from budgets.models import Budget, LedgerEntry
from budgets.models.choices import BudgetStatus, EntryKind, Period, Rollover
from budgets.selectors.audit import audit
from budgets.services.periods import next_period_at, open_periods_that_wait
from budgets.services.visits import visit_books
from budgets.tasks import roll_up_tenant
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant, TenantStanding
from tenants.services import standing
from tests.support.books import Books
from tests.support.owner import head_held
from tests.support.processes import environment

AN_HOUR = timedelta(hours=1)


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def daily(books: Books, suffix: str, *, days_behind: int = 0, **columns: Any) -> UUID:
    """A budget whose day ended so many days ago, or goes on."""
    ends_at = datetime.now(UTC).replace(microsecond=0) + AN_HOUR - timedelta(days=days_behind)
    return books.add_budget(
        suffix,
        allocated=100,
        period=Period.DAY,
        period_allocation=100,
        period_starts_at=ends_at - timedelta(days=1),
        period_ends_at=ends_at,
        **columns,
    )


def rollovers(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return LedgerEntry.objects.filter(kind=EntryKind.ROLLOVER).count()


def visit(books: Books) -> None:
    visit_books(tag=books.tenant.tag, has_time=lambda: True)


def note(books: Books) -> TenantStanding:
    with in_public():
        return TenantStanding.objects.get(tag=books.tenant.tag)


class TestIdleBudgets:
    def test_begin_their_period_without_anybody_calling(self, books: Books) -> None:
        daily(books, "/agent:idle", days_behind=1)

        visit(books)

        budget = books.budget("/agent:idle")
        assert budget.period_ends_at is not None
        assert budget.period_ends_at > datetime.now(UTC)

    def test_of_a_worker_that_was_down_begin_every_period_in_between(self, books: Books) -> None:
        daily(books, "/agent:idle", days_behind=40, rollover=Rollover.CARRY_FORWARD)

        visit(books)
        visit(books)

        with in_tenant(books.tenant.tag):
            entries = LedgerEntry.objects.filter(kind=EntryKind.ROLLOVER).order_by("seq")
            starts = [entry.period_starts_at for entry in entries if entry.period_starts_at is not None]
        # The first one ends where its bounds were set by hand; every other begins where the one before ends.
        assert len(starts) == len(set(starts))
        assert starts == sorted(starts)
        assert {(after - before).days for before, after in pairwise(starts[1:])} == {1}
        assert len(starts) in {40, 41}
        assert books.budget("/agent:idle").allocated == 100 * (len(starts) + 1)
        assert audit(books.tenant.tag) == []

    def test_are_opened_in_steps_that_end_when_time_is_up(self, books: Books) -> None:
        for number in range(3):
            daily(books, f"/agent:a{number}", days_behind=150)

        with in_tenant(books.tenant.tag):
            opened = open_periods_that_wait(has_time=lambda: False)
            assert opened == 200
            rest = open_periods_that_wait(has_time=lambda: True)
            assert open_periods_that_wait(has_time=lambda: True) == 0

        assert opened + rest == rollovers(books)
        assert audit(books.tenant.tag) == []

    def test_that_are_closed_stay_as_they_are(self, books: Books) -> None:
        daily(books, "/agent:idle", days_behind=3, status=BudgetStatus.CLOSED)

        visit(books)

        assert rollovers(books) == 0
        with in_tenant(books.tenant.tag):
            assert next_period_at() is None

    def test_make_the_tenant_due_at_the_end_of_the_next_period(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        daily(books, "/agent:idle")
        ends_at = books.budget("/agent:idle").period_ends_at

        visit(books)

        assert note(books).revisit_at == ends_at

    def test_wait_while_somebody_holds_the_books(self, books: Books) -> None:
        daily(books, "/agent:idle", days_behind=1)

        with head_held(books.tenant):
            visit(books)

        assert rollovers(books) == 0
        left = note(books)
        assert left.revisit_at is not None
        assert left.as_of is not None
        assert left.revisit_at - left.as_of <= timedelta(minutes=1)


class TestTwice:
    def test_workers_and_callers_at_once_open_each_period_once(self, books: Books) -> None:
        for number in range(20):
            daily(books, f"/agent:a{number}", days_behind=5)
        errors: list[BaseException] = []

        def call(seed: int) -> None:
            dice = random.Random(seed)
            try:
                for _ in range(15):
                    suffix = f"/agent:a{dice.randrange(20)}"
                    assert (
                        books.ask("event", amount=1, suffixes=[suffix], idem=f"{seed}-{dice.random()}").status == "OK"
                    )
            except BaseException as error:  # noqa: BLE001
                errors.append(error)
            finally:
                connections.close_all()

        def work() -> None:
            try:
                visit(books)
            except BaseException as error:  # noqa: BLE001
                errors.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=call, args=[seed]) for seed in range(2)]
        threads += [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        visit(books)

        assert errors == []
        assert rollovers(books) in {20 * 5, 20 * 6}
        assert audit(books.tenant.tag) == []


class TestTurns:
    def test_a_tenant_with_more_is_asked_for_again_once(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        visit(books)

        assert standing.ask_again(tag=books.tenant.tag)
        assert not standing.ask_again(tag=books.tenant.tag)

    def test_a_tenant_that_was_asked_for_meanwhile_is_not_asked_for_twice(self, books: Books) -> None:
        visit(books)
        books.add_budget(allocated=1_000)
        deadline = time.monotonic() + 20
        # PostgreSQL tells of new rows after a moment.
        while books.tenant.tag not in standing.ask_for_visits(limit=1_000):
            assert time.monotonic() < deadline
            time.sleep(0.1)

        assert not standing.ask_again(tag=books.tenant.tag)
        roll_up_tenant(tag=books.tenant.tag)
        assert standing.ask_again(tag=books.tenant.tag)


class TestKilled:
    def test_at_any_moment_leaves_each_period_opened_once(self, books: Books) -> None:
        for number in range(30):
            daily(books, f"/agent:a{number}", days_behind=60)
        script = (
            "import sys; import django; django.setup()\n"
            "from budgets.services import visits\n"
            "print('begun', flush=True)\n"
            "visits.visit_books(tag=sys.argv[1], has_time=lambda: True)\n"
        )
        dice = random.Random(7)
        for _ in range(3):
            worker = subprocess.Popen(
                [sys.executable, "-c", script, books.tenant.tag], env=environment(), stdout=subprocess.PIPE, text=True
            )
            assert worker.stdout is not None
            assert worker.stdout.readline() == "begun\n"
            time.sleep(dice.uniform(0.01, 0.15))
            worker.kill()
            worker.wait()

        visit(books)

        with in_tenant(books.tenant.tag):
            opened = dict.fromkeys(Budget.objects.values_list("pk", flat=True), 0)
            for (budget_id,) in LedgerEntry.objects.filter(kind=EntryKind.ROLLOVER).values_list("budget_ids"):
                opened[budget_id[0]] += 1
        assert len(set(opened.values())) == 1
        assert next(iter(opened.values())) >= 60
        assert audit(books.tenant.tag) == []

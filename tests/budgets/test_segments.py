"""What several operations in one call share: their quotas, their runs and their earlier answers do not mix."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.models import LedgerEntry, QuotaCounter, Run
from budgets.models.choices import Period
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import quota, rule

MAIL = {"kind": "message.email", "name": "smtp"}
CALL = {"kind": "llm.completion", "name": "openai:gpt-4o-mini"}


def ended_yesterday() -> dict[str, Any]:
    end = datetime.now(UTC) - timedelta(days=1)
    return {
        "period": Period.DAY,
        "period_starts_at": end - timedelta(days=1),
        "period_ends_at": end,
        "period_allocation": 5,
    }


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100_000_000)
    return books


class TestASegment:
    def test_counts_each_operation_s_own_quotas(self, books: Books) -> None:
        rule(books, actions=quota(2, kind="message.email"))
        actions = (CALL, MAIL, CALL, MAIL, MAIL, CALL)

        answers = books.ask_all(*(books.operation("reserve", amount=1, action=action) for action in actions))

        assert [answer.status for answer in answers] == ["OK"] * 4 + ["ACTION_QUOTA_EXCEEDED", "OK"]
        with in_tenant(books.tenant.tag):
            assert QuotaCounter.objects.get().used == 2

    def test_counts_a_run_once_a_day_however_often_it_asks(self, books: Books) -> None:
        rule(books, limits={"runs_per_day_max": 2})
        runs = ("r1", "r1", None, "r2", "r3", "r2")

        answers = books.ask_all(*(books.operation("reserve", amount=1, run=run) for run in runs))

        assert [answer.status for answer in answers] == ["OK"] * 4 + ["RUNS_PER_DAY_EXCEEDED", "OK"]

    def test_gives_each_repeated_operation_its_own_answer(self, books: Books) -> None:
        first = books.ask("reserve", amount=1, idem="first")
        second = books.ask("event", amount=2, idem="second")

        answers = books.ask_all(
            books.operation("reserve", amount=3, idem="new"),
            books.operation("event", amount=2, idem="second"),
            books.operation("decide", amount=4),
            books.operation("reserve", amount=1, idem="first"),
        )

        assert [answer.replayed for answer in answers] == [False, True, False, True]
        assert (answers[1].id, answers[1].balances) == (second.id, second.balances)
        assert (answers[3].id, answers[3].balances) == (first.id, first.balances)

    def test_counts_a_run_that_comes_back_among_those_that_run(self, books: Books) -> None:
        rule(books, limits={"concurrent_runs_max": 1})
        books.ask("reserve", amount=1, run="old")
        with in_tenant(books.tenant.tag):
            Run.objects.update(lease_until=datetime.now(UTC) - timedelta(hours=1))

        answers = books.ask_all(*(books.operation("reserve", amount=1, run=run) for run in ("old", "new")))

        assert [answer.status for answer in answers] == ["OK", "CONCURRENT_RUNS_EXCEEDED"]

    def test_opens_no_period_for_an_operation_without_a_good_key(self, books: Books) -> None:
        books.add_budget("/workspace:test", allocated=5, **ended_yesterday())
        bad = books.operation("reserve", amount=1, suffixes=["", "/workspace:test"], digest="\\x00")

        answers = books.ask_all(bad, books.operation("reserve", amount=1))

        assert [answer.status for answer in answers] == ["UNAUTHORIZED", "OK"]
        with in_tenant(books.tenant.tag):
            assert not LedgerEntry.objects.filter(kind="ROLLOVER").exists()

    def test_settles_without_opening_what_it_does_not_touch(self, books: Books) -> None:
        hold = books.ask("reserve", amount=1)
        books.add_budget(unit=Unit.TOKENS, allocated=5, **ended_yesterday())

        assert books.ask("commit", target=hold.id, amount=1).status == "OK"

        with in_tenant(books.tenant.tag):
            assert not LedgerEntry.objects.filter(kind="ROLLOVER").exists()

"""Every reason for a refusal is explained, from what the engine kept at its moment."""

from typing import Any

import pytest
from django.test import Client

from accounts.keys.models import Permission
from budgets.console.checks import Outcome
from budgets.console.explanation import Explanation, explain
from budgets.models import RunTemplate
from budgets.models.choices import BudgetStatus
from budgets.selectors.decision_records import decision_record
from budgets.services.operations import Answer
from kernel.ids import uuid7
from kernel.pages.phrases import plain
from kernel.tenancy import in_tenant
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, explain_address

MARKETING = ["", "/workspace:marketing"]


def explained(books: Books, answer: Answer) -> Explanation:
    with in_tenant(books.tenant.tag):
        record = decision_record(answer.id)
    assert record is not None
    return explain(record, time_zone="Asia/Kolkata", now=record.at)


def summary(books: Books, answer: Answer) -> str:
    return plain(explained(books, answer).summary)


class TestRefusedReservation:
    def test_names_the_scope_what_was_left_and_what_was_needed(self, books: Books) -> None:
        books.add_budget(allocated=DOLLAR * 10)
        books.add_budget("/workspace:marketing", allocated=41 * CENT)

        explanation = explained(books, books.ask("reserve", amount=128 * CENT, suffixes=MARKETING))

        assert plain(explanation.summary).endswith(
            "IST because workspace marketing had $0.41 left and the call needed $1.28."
        )
        assert [check.outcome for check in explanation.checks] == [*[Outcome.PASS] * 5, Outcome.DENY]
        assert explanation.checks[-1].note == "short by $0.87"
        assert "Ask for at most $0.41." in explanation.remedies

    def test_does_not_let_two_close_amounts_look_equal(self, books: Books) -> None:
        books.add_budget(allocated=2 * DOLLAR - 1)

        text = summary(books, books.ask("reserve", amount=2 * DOLLAR))

        assert "had $1.99999999 left and the call needed $2.00" in text

    def test_marks_what_was_not_reached(self, books: Books) -> None:
        books.add_budget(allocated=0)
        books.add_budget("/workspace:marketing", allocated=DOLLAR)

        checks = explained(books, books.ask("reserve", amount=CENT, suffixes=MARKETING)).checks

        assert [check.outcome for check in checks[-2:]] == [Outcome.DENY, Outcome.NOT_REACHED]

    @pytest.mark.parametrize(
        ("columns", "cause"),
        [
            ({"status": BudgetStatus.FROZEN}, "the budget of tenant acme was frozen"),
            ({"status": BudgetStatus.CLOSED}, "the budget of tenant acme was closed"),
            ({"is_capped": True}, "an earlier charge on tenant acme could not be covered in full"),
            ({"debt": 5 * CENT}, "tenant acme owed $0.05, more than it may"),
            ({"debt": 5 * CENT, "overdraft_limit": 9 * CENT}, "tenant acme owed $0.05, which comes first"),
        ],
    )
    def test_says_what_is_wrong_with_the_budget(self, books: Books, columns: dict[str, Any], cause: str) -> None:
        books.add_budget(allocated=DOLLAR, **columns)

        assert f" because {cause}." in summary(books, books.ask("reserve", amount=CENT))

    def test_says_that_no_scope_has_a_budget(self, books: Books) -> None:
        explanation = explained(books, books.ask("reserve", amount=CENT))

        assert "no scope on its path has a budget in USD" in plain(explanation.summary)
        assert explanation.checks[-1].outcome is Outcome.DENY

    def test_says_which_unit_is_kept(self, books: Books) -> None:
        books.add_budget(allocated=DOLLAR)

        assert "it asked in tokens where the books are kept in USD" in summary(
            books, books.ask("reserve", amount=1, unit="TOKENS")
        )

    def test_says_what_the_key_lacks(self, books: Books) -> None:
        key = books.add_key(permissions=[Permission.BALANCES_READ])
        digest = "\\x" + key.digest.hex()

        explanation = explained(books, books.ask("reserve", amount=1, key_id=key.key_id, digest=digest))

        assert f"the key {key.key_id} lacks the permission reservations:create" in plain(explanation.summary)
        assert [check.outcome for check in explanation.checks[:2]] == [Outcome.DENY, Outcome.NOT_REACHED]

    def test_says_that_the_key_is_confined(self, books: Books) -> None:
        key = books.add_key(scope_filter=["tenant:acme/workspace:other"])
        digest = "\\x" + key.digest.hex()

        text = summary(books, books.ask("reserve", amount=1, key_id=key.key_id, digest=digest))

        assert "is confined to other scopes" in text

    def test_explains_a_run_whose_budget_was_never_opened(self, books: Books) -> None:
        books.add_budget(allocated=DOLLAR)
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(id=uuid7(), name="chat", unit="USD_MICROCENTS", amount=CENT, is_default=True)

        explanation = explained(books, books.ask("reserve", amount=2 * CENT, run="r1"))

        assert "run r1 had $0.01 left and the call needed $0.02" in plain(explanation.summary)
        assert explanation.checks[-1].outcome is Outcome.DENY


class TestRefusedSettlement:
    def test_says_that_it_was_settled(self, books: Books) -> None:
        books.add_budget(allocated=DOLLAR)
        hold = books.ask("reserve", amount=CENT)
        books.ask("release", target=hold.id)

        text = summary(books, books.ask("commit", target=hold.id, amount=CENT))

        assert text.startswith("This commit was denied at ")
        assert "the reservation was released already" in text

    def test_says_that_there_is_no_such_reservation(self, books: Books) -> None:
        assert "there is no such reservation" in summary(books, books.ask("release", target=uuid7()))

    def test_says_how_much_it_cost_above_the_hold(self, books: Books) -> None:
        books.add_budget(allocated=10 * CENT)
        hold = books.ask("reserve", amount=8 * CENT, policy="REJECT")

        text = summary(books, books.ask("commit", target=hold.id, amount=13 * CENT))

        assert "it cost $0.05 more than was held, and its overage policy is REJECT." in text

    def test_says_how_much_may_be_owed(self, books: Books) -> None:
        books.add_budget(allocated=10 * CENT, overdraft_limit=CENT)
        hold = books.ask("reserve", amount=10 * CENT, policy="ALLOW_WITH_OVERDRAFT")

        text = summary(books, books.ask("commit", target=hold.id, amount=13 * CENT))

        assert "tenant acme may owe at most $0.01, and the charge would have gone beyond" in text


class TestAllowed:
    def test_names_the_tightest_budget_as_it_was_before(self, books: Books) -> None:
        books.add_budget(allocated=DOLLAR)
        books.add_budget("/workspace:marketing", allocated=50 * CENT)

        explanation = explained(books, books.ask("reserve", amount=CENT, suffixes=MARKETING))

        assert "had room for $0.01; the tightest, workspace marketing, had $0.50 left." in plain(explanation.summary)
        assert plain(explanation.checks[-1].words) == "Workspace budget marketing: $0.50 left of $0.50, needs $0.01"
        assert explanation.remedies == ()

    def test_shows_what_became_of_it(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        hold = books.ask("reserve", amount=5 * CENT)
        books.ask("commit", target=hold.id, amount=3 * CENT)

        text = browser.get(explain_address(books, hold.id)).content.decode()

        assert "What became of it" in text
        assert "Committed" in text
        assert "$0.03" in text

    def test_explains_a_check_that_would_be_refused(self, books: Books) -> None:
        books.add_budget(allocated=CENT)

        answer = books.ask("decide", amount=2 * CENT)

        assert answer.verdict == "DENY"
        assert "This check was denied at " in summary(books, answer)


class TestAddress:
    def test_of_a_denial_is_one_for_all_readers(self, books: Books, browser: Client) -> None:
        address = explain_address(books, books.ask("reserve", amount=1).id)

        assert browser.get(address.replace("/ops/tenants/acme/decisions/", "/explain/"))["Location"] == address

"""The engine, one operation at a time: every status that it can answer, both sides of every edge."""

import pytest

from kernel.ids import uuid7
from tenants.models import Tenant
from tests.support.books import Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


class TestReserve:
    def test_admits_the_last_microcent(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = books.ask("reserve", amount=100)

        assert answer.status == "OK"
        assert answer.verdict == "ALLOW"
        assert books.budget().remaining == 0

    def test_refuses_one_microcent_too_many(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = books.ask("reserve", amount=101)

        assert answer.status == "BUDGET_EXCEEDED"
        assert answer.scope == "tenant:acme"
        assert books.budget().reserved == 0

    def test_needs_room_in_every_scope_of_the_path(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.add_budget("/workspace:prod", allocated=10)

        answer = books.ask("reserve", amount=11, suffixes=["", "/workspace:prod"])

        assert answer.status == "BUDGET_EXCEEDED"
        assert answer.scope == "tenant:acme/workspace:prod"
        assert books.budget().reserved == 0

    def test_skips_scopes_without_a_budget(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = books.ask("reserve", amount=5, suffixes=["", "/workspace:prod", "/workspace:prod/agent:triage"])

        assert answer.paths == ["tenant:acme"]

    def test_refuses_a_path_without_any_budget(self, books: Books) -> None:
        assert books.ask("reserve", amount=5).status == "BUDGET_NOT_FOUND"

    def test_tells_the_units_when_only_another_unit_has_a_budget(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answer = books.ask("reserve", amount=5, unit="TOKENS")

        assert answer.status == "UNIT_MISMATCH"
        assert answer.numbers == {"requested_unit": "TOKENS", "expected_units": ["USD_MICROCENTS"]}

    def test_answers_the_same_key_with_the_same_reservation(self, books: Books) -> None:
        books.add_budget(allocated=100)
        first = books.ask("reserve", amount=60, idem="one")

        second = books.ask("reserve", amount=60, idem="one")

        assert second.replayed
        assert (second.id, second.balances, second.expires_ms) == (first.id, first.balances, first.expires_ms)
        assert books.budget().reserved == 60

    def test_refuses_the_same_key_with_another_payload(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=60, idem="one")

        assert books.ask("reserve", amount=50, idem="one", hash="\\x01").status == "IDEMPOTENCY_MISMATCH"

    def test_judges_a_refused_key_anew(self, books: Books) -> None:
        books.add_budget(allocated=100)
        books.ask("reserve", amount=200, idem="one")

        assert books.ask("reserve", amount=100, idem="one", hash="\\x01").status == "OK"

    def test_refuses_a_key_with_a_wrong_secret(self, books: Books) -> None:
        assert books.ask("reserve", amount=1, digest="\\x00").status == "UNAUTHORIZED"


class TestCommit:
    def test_gives_back_what_was_not_spent(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=60)

        answer = books.ask("commit", target=hold.id, amount=40)

        assert (answer.status, answer.charged, answer.held) == ("OK", 40, 60)
        assert (books.budget().spent, books.budget().reserved) == (40, 0)

    def test_settles_once(self, books: Books) -> None:
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=60)
        books.ask("release", target=hold.id)

        assert books.ask("commit", target=hold.id, amount=40).status == "RESERVATION_FINALIZED"

    def test_does_not_know_a_reservation_that_never_was(self, books: Books) -> None:
        assert books.ask("commit", target=uuid7(), amount=1).status == "NOT_FOUND"


class TestBatch:
    def test_two_operations_on_one_key_have_one_effect(self, books: Books) -> None:
        books.add_budget(allocated=100)

        first, second = books.ask_all(
            books.operation("reserve", amount=60, idem="one"), books.operation("reserve", amount=60, idem="one")
        )

        assert not first.replayed
        assert second.replayed
        assert second.id == first.id
        assert books.budget().reserved == 60

    def test_the_last_unit_goes_to_the_first_who_asks(self, books: Books) -> None:
        books.add_budget(allocated=100)

        answers = books.ask_all(*[books.operation("reserve", amount=60) for _ in range(3)])

        assert [answer.status for answer in answers] == ["OK", "BUDGET_EXCEEDED", "BUDGET_EXCEEDED"]

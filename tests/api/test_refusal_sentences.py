"""What a refused caller reads says what was short, and what to do about that."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from kernel.money import Unit
from tenants.models import Tenant
from tests.support.books import Books


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def ask(books: Books, api_url: str, path: str, **fields: Any) -> dict[str, Any]:
    body = {"idempotency_key": str(uuid4()), **fields}
    response = httpx.post(f"{api_url}/v1/{path}", json=body, headers={"X-Cycles-API-Key": books.key.token})
    answer: dict[str, Any] = response.json()
    return answer


def reserve(books: Books, api_url: str, amount: int, **fields: Any) -> dict[str, Any]:
    return ask(
        books,
        api_url,
        "reservations",
        subject={"tenant": "acme"},
        action={"kind": "llm.completion", "name": "test"},
        estimate={"unit": "TOKENS", "amount": amount},
        **fields,
    )


def commit(books: Books, api_url: str, held: dict[str, Any], amount: int) -> dict[str, Any]:
    path = f"reservations/{held['reservation_id']}/commit"
    return ask(books, api_url, path, actual={"unit": "TOKENS", "amount": amount})


class TestSentences:
    def test_too_little_is_left(self, books: Books, api_url: str) -> None:
        books.add_budget(allocated=10, unit=Unit.TOKENS)

        assert reserve(books, api_url, 11)["message"] == (
            "tenant:acme has 10 TOKENS left and 11 were asked for."
            " Ask for less, fund the budget, or wait for its next period."
        )

    def test_more_than_was_held_under_reject_has_nothing_to_do_with_what_is_left(
        self, books: Books, api_url: str
    ) -> None:
        books.add_budget(allocated=100, unit=Unit.TOKENS)
        held = reserve(books, api_url, 10, overage_policy="REJECT")

        assert commit(books, api_url, held, 11)["message"] == (
            "The reservation holds 10 TOKENS and its policy REJECT books no more."
            " Commit as much, and book the rest as an event."
        )

    def test_a_cost_that_could_not_be_paid_is_no_debt(self, books: Books, api_url: str) -> None:
        books.add_budget(allocated=10, unit=Unit.TOKENS)
        commit(books, api_url, reserve(books, api_url, 10), 11)

        assert reserve(books, api_url, 1)["message"] == (
            "tenant:acme could not pay all of an earlier cost. Fund it, or wait for its next period."
        )

    def test_a_debt_above_its_limit_names_the_limit(self, books: Books, api_url: str) -> None:
        books.add_budget(allocated=10, unit=Unit.TOKENS, overdraft_limit=5)
        held = reserve(books, api_url, 10, overage_policy="ALLOW_WITH_OVERDRAFT")

        assert commit(books, api_url, held, 16)["message"] == (
            "tenant:acme would owe more than its overdraft limit of 5 TOKENS. Fund it, or raise the limit."
        )

"""POST /v1/x-watermaster/admit over HTTP: the whole decision in one answer, and the same verdict as its projections."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import denying, quota, rule


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100_000_000)
    return books


def post(url: str, books: Books, path: str, **fields: Any) -> httpx.Response:
    body = {
        "idempotency_key": str(uuid4()),
        "subject": {"tenant": "acme"},
        "action": {"kind": "llm.completion", "name": "chat"},
    }
    return httpx.post(f"{url}{path}", headers={"X-Cycles-API-Key": books.key.token}, json=body | fields)


class TestAdmit:
    def test_chooses_prices_and_holds(self, books: Books, api_url: str) -> None:
        rule(books)

        answer = post(api_url, books, "/v1/x-watermaster/admit", request={"input_tokens": 1_000}).json()

        assert answer["decision"] == "ALLOW_WITH_CAPS"
        assert answer["route"] == {"tier": "small", "provider": "openai", "model": "gpt-4o-mini"}
        assert answer["caps"] == {"max_tokens": 1_000}
        assert answer["reservation"]["reserved"] == {"unit": "USD_MICROCENTS", "amount": 75_000}

    def test_says_why_not_and_where_it_is_explained(self, books: Books, api_url: str) -> None:
        rule(books)

        answer = post(api_url, books, "/v1/x-watermaster/admit", request={"model": "nobody:nothing"})

        assert answer.status_code == 200
        assert answer.json()["decision"] == "DENY"
        assert answer.json()["reasons"][0]["code"] == "MODEL_UNKNOWN"
        assert answer.json()["explain_url"].endswith(f"{answer.json()['decision_id']}/")

    def test_refuses_an_unknown_field(self, books: Books, api_url: str) -> None:
        assert post(api_url, books, "/v1/x-watermaster/admit", colour="blue").status_code == 400

    @pytest.mark.parametrize(
        ("rules", "code"),
        [
            ({}, None),
            ({"actions": denying("llm.completion")}, "ACTION_KIND_DENIED"),
            ({"actions": quota(0)}, "ACTION_QUOTA_EXCEEDED"),
        ],
    )
    def test_judges_as_its_projections_do(
        self, books: Books, api_url: str, rules: dict[str, Any], code: str | None
    ) -> None:
        rule(books, **rules)
        estimate = {"unit": "USD_MICROCENTS", "amount": 5}

        admitted = post(api_url, books, "/v1/x-watermaster/admit", estimate=estimate).json()
        decided = post(api_url, books, "/v1/decide", estimate=estimate).json()
        reserved = post(api_url, books, "/v1/reservations", estimate=estimate)

        assert admitted["decision"] == decided["decision"]
        assert decided.get("reason_code") == code
        assert [reason["code"] for reason in admitted["reasons"]] == ([] if code is None else [code])
        assert (reserved.status_code == 200) is (code is None)
        if code is not None:
            assert reserved.json()["details"]["reason_code"] == code


class TestObserveMode:
    """The contract's extension of a reservation: judged in full, and nothing is held."""

    @pytest.mark.parametrize(("amount", "decision"), [(10**8, "ALLOW"), (10**8 + 1, "DENY")])
    def test_observes_without_holding(self, books: Books, api_url: str, amount: int, decision: str) -> None:
        estimate = {"unit": "USD_MICROCENTS", "amount": amount}

        answer = post(api_url, books, "/v1/reservations", estimate=estimate, observe_mode="OBSERVE")

        assert (answer.status_code, answer.json()["decision"]) == (200, decision)
        assert "reservation_id" not in answer.json()
        assert books.budget().reserved == 0

    @pytest.mark.parametrize("mode", ["ENFORCE", "DISABLED"])
    def test_enforces_as_ever(self, books: Books, api_url: str, mode: str) -> None:
        estimate = {"unit": "USD_MICROCENTS", "amount": 10**8 + 1}

        answer = post(api_url, books, "/v1/reservations", estimate=estimate, observe_mode=mode)

        assert answer.status_code == 409

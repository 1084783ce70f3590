"""What was sent comes back as it was sent; what we derive of it is lower-cased and in the one order."""

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.support.api_client import ApiClient, amount
from tests.support.books import Books

SUBJECT = {
    "tenant": "GLOBEX",
    "toolset": "Search.V2",
    "workspace": "Prod",
    "agent": "Triage_Bot",
    "workflow": "Nightly-Run",
    "app": "Shop",
    "dimensions": {
        "Cost Center": "R&D / 42",
        "emoji": "💩 \u202e é e\u0301",
        "quote": "'\"\\/\b\f\n\r\t<script>",
        "empty": "",
        "run": "Run-7.B",
    },
}
SCOPES = [
    "tenant:globex",
    "tenant:globex/workspace:prod",
    "tenant:globex/workspace:prod/app:shop",
    "tenant:globex/workspace:prod/app:shop/workflow:nightly-run",
    "tenant:globex/workspace:prod/app:shop/workflow:nightly-run/agent:triage_bot",
    "tenant:globex/workspace:prod/app:shop/workflow:nightly-run/agent:triage_bot/toolset:search.v2",
]
ACTION = {"kind": "llm.completion", "name": "OpenAI:GPT-4o", "tags": ["Prod", "prod", "", "é"]}
METADATA = {
    "numbers": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**40, 1.5, -0.25, 1e-7, 1.0, 1e22, 6.02e23],
    "nothing": [None, True, False, "", [], {}],
    "text": "💩 \u202e \u0001 \u2028 </script>",
    "": "an empty name",
    "nested": {"a": {"b": {"c": [[[1]]]}}},
}


def by_value(text: str) -> Any:
    """JSON with its numbers as they are written: 6e2 is 600, and no digit is lost to a float."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


class TestReservation:
    def test_comes_back_as_it_was_sent(self, standing_api: ApiClient) -> None:
        key = f"Key-{uuid4().hex}"
        reservation_id = standing_api.reserved(
            7, subject=SUBJECT, action=ACTION, metadata=METADATA, idempotency_key=key
        )
        standing_api.commit(reservation_id, actual=amount(5), metadata=METADATA)

        answer = standing_api.reservation(reservation_id)

        detail = answer.json()
        assert detail["subject"] == SUBJECT
        assert detail["action"] == ACTION
        assert detail["idempotency_key"] == key
        assert (detail["reserved"], detail["committed"]) == (amount(7), amount(5))
        exact = by_value(answer.text)
        assert exact["metadata"] == exact["committed_metadata"] == by_value(json.dumps(METADATA))
        assert (detail["scope_path"], detail["affected_scopes"]) == (SCOPES[-1], SCOPES)

    def test_stands_in_the_list_as_alone(self, standing_api: ApiClient) -> None:
        key = uuid4().hex
        reservation_id = standing_api.reserved(subject=SUBJECT, metadata=METADATA, idempotency_key=key)

        (row,) = standing_api.reservations(idempotency_key=key, include="metadata").json()["reservations"]

        assert row == standing_api.reservation(reservation_id).json()

    def test_an_empty_part_stays_empty(self, standing_api: ApiClient) -> None:
        reservation_id = standing_api.reserved(
            subject={"agent": "x", "dimensions": {}}, action={"kind": "", "name": "", "tags": []}, metadata={}
        )

        detail = standing_api.reservation(reservation_id).json()

        assert detail["subject"] == {"agent": "x", "dimensions": {}}
        assert detail["action"] == {"kind": "", "name": "", "tags": []}
        assert detail["metadata"] == {}


class TestScopes:
    @pytest.mark.parametrize("verb", ["decide", "reserve"])
    def test_are_lower_cased_and_in_the_one_order(self, standing_api: ApiClient, verb: str) -> None:
        body = getattr(standing_api, verb)(subject=SUBJECT).json()

        assert body["affected_scopes"] == SCOPES

    @pytest.mark.parametrize(
        ("subject", "scopes"),
        [
            ({"agent": "A"}, ["tenant:globex", "tenant:globex/agent:a"]),
            (
                {"workspace": "w", "agent": "a"},
                ["tenant:globex", "tenant:globex/workspace:w", "tenant:globex/workspace:w/agent:a"],
            ),
            ({"toolset": "t"}, ["tenant:globex", "tenant:globex/toolset:t"]),
        ],
        ids=str,
    )
    def test_gaps_are_skipped(self, standing_api: ApiClient, subject: dict[str, str], scopes: list[str]) -> None:
        body = standing_api.reserve(subject=subject).json()

        assert (body["affected_scopes"], body["scope_path"]) == (scopes, scopes[-1])

    def test_case_makes_no_second_budget(self, standing_api: ApiClient, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:upper", allocated=10)

        assert standing_api.reserve(subject={"workspace": "UPPER"}).status_code == 200
        assert standing_api.reserve(subject={"workspace": "Upper"}, estimate=amount(1)).status_code == 409

    def test_every_budget_on_the_path_is_shown(self, standing_api: ApiClient, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:deep/agent:a", allocated=100)

        body = standing_api.reserve(subject={"workspace": "deep", "agent": "a"}, estimate=amount(60)).json()

        paths = [row["scope_path"] for row in body["balances"]]
        assert paths == ["tenant:globex", "tenant:globex/workspace:deep/agent:a"]
        assert body["balances"][1] == {
            "scope": "agent:a",
            "scope_path": "tenant:globex/workspace:deep/agent:a",
            "remaining": amount(40),
            "reserved": amount(60),
            "spent": amount(0),
            "allocated": amount(100),
        }


class TestEvents:
    def test_takes_everything_that_the_contract_has(self, standing_api: ApiClient) -> None:
        metrics: dict[str, Any] = {
            "tokens_input": 0,
            "tokens_output": 2**63 - 1,
            "latency_ms": 12,
            "model_version": "v" * 128,
            "custom": METADATA,
        }

        answer = standing_api.event(
            subject=SUBJECT, action=ACTION, metrics=metrics, client_time_ms=0, metadata=METADATA
        )

        assert answer.status_code == 201
        assert "charged" not in answer.json()

    def test_a_charge_that_was_cut_is_shown(self, standing_api: ApiClient, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:small", allocated=10)

        body = standing_api.event(subject={"workspace": "small"}, actual=amount(11)).json()

        assert body["charged"] == amount(10)
        assert body["balances"][-1]["is_over_limit"] is True


class TestCommits:
    @pytest.mark.parametrize(
        ("held", "actual", "charged", "released"),
        [(10, 10, 10, None), (10, 9, 9, 1), (10, 0, 0, 10), (10, 15, 15, None)],
    )
    def test_says_what_was_charged_and_given_back(
        self, standing_api: ApiClient, held: int, actual: int, charged: int, released: int | None
    ) -> None:
        body = standing_api.commit(standing_api.reserved(held), actual=amount(actual)).json()

        assert body["charged"] == amount(charged)
        assert body.get("released") == (None if released is None else amount(released))

    def test_what_the_budget_cannot_cover_is_cut(self, standing_api: ApiClient, standing_books: Books) -> None:
        standing_books.add_budget("/workspace:tight", allocated=12)
        reservation_id = standing_api.reserved(10, subject={"workspace": "tight"})

        body = standing_api.commit(reservation_id, actual=amount(15)).json()

        assert body["charged"] == amount(12)
        budget = standing_books.budget("/workspace:tight")
        assert (budget.spent, budget.uncovered, budget.remaining) == (12, 3, 0)

"""POST /v1/x-watermaster/settle, /tools and GET /isolation over HTTP."""

import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from budgets.models import LedgerEntry, Run
from kernel.tenancy import in_tenant
from routing.pricing.kinds import Kind
from routing.pricing.price import Price, PriceSource
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import SMALL, rule

MINI = Price(
    provider="openai",
    model="gpt-4o-mini",
    source=PriceSource.LIST,
    version="v1",
    rates={"standard": {Kind.INPUT: 15_000_000, Kind.CACHED_INPUT: 7_500_000, Kind.OUTPUT: 60_000_000}},
    tool_fees={"web_search": 1_000_000},
)
CHAT = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini-2024-07-18",
    "usage": {
        "prompt_tokens": 1_000,
        "completion_tokens": 200,
        "total_tokens": 1_200,
        "prompt_tokens_details": {"cached_tokens": 400},
    },
}
#: 600 fresh at 15, 400 cached at 7.5 and 200 out at 60 micro-cents each.
CHAT_COST = 9_000 + 3_000 + 12_000


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    rule(books, models={"openai:gpt-4o-mini": SMALL | {"price": MINI.as_document()}})
    return books


def call(url: str, books: Books, path: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/x-watermaster/{path}", headers={"X-Cycles-API-Key": books.key.token}, json=body)


def admit(url: str, books: Books, **fields: Any) -> str:
    body: dict[str, Any] = {
        "idempotency_key": str(uuid4()),
        "subject": {"tenant": "acme"},
        "action": {"kind": "llm.completion", "name": "chat"},
        "request": {"input_tokens": 1_000},
    }
    answer = call(url, books, "admit", **body | fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["reservation"]["reservation_id"])


def settle(url: str, books: Books, reservation_id: str, usage: Any = None, **fields: Any) -> httpx.Response:
    body = {
        "idempotency_key": str(uuid4()),
        "reservation_id": reservation_id,
        "usage": CHAT if usage is None else usage,
    }
    return call(url, books, "settle", **body | fields)


class TestSettle:
    def test_prices_the_provider_s_answer_by_the_decision_s_price(self, books: Books, api_url: str) -> None:
        hold = admit(api_url, books)

        answer = settle(api_url, books, hold)

        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["charged"] == body["cost"] == {"unit": "USD_MICROCENTS", "amount": CHAT_COST}
        assert body["price"] == {"provider": "openai", "model": "gpt-4o-mini", "source": "list", "version": "v1"}
        assert sum(line["amount"] for line in body["lines"]) == CHAT_COST
        assert (books.budget().spent, books.budget().reserved) == (CHAT_COST, 0)

    def test_keeps_unit_prices_source_and_version_in_the_ledger(self, books: Books, api_url: str) -> None:
        settle(api_url, books, admit(api_url, books))

        with in_tenant(books.tenant.tag):
            price = LedgerEntry.objects.get(kind="COMMIT").price
        assert price is not None
        assert (price["source"], price["version"], price["response_id"]) == ("list", "v1", "chatcmpl-1")
        assert {line["kind"]: line["unit_price"] for line in price["lines"]} == {
            "input": 15_000_000,
            "cached_input": 7_500_000,
            "output": 60_000_000,
        }

    def test_charges_the_price_of_the_decision_though_another_holds_now(self, books: Books, api_url: str) -> None:
        hold = admit(api_url, books)
        rule(books, models={"openai:gpt-4o-mini": SMALL | {"price": MINI.times(2_000_000).as_document()}})

        assert settle(api_url, books, hold).json()["charged"]["amount"] == CHAT_COST

    @pytest.mark.parametrize(
        ("endpoint", "usage"),
        [
            ("responses", {"input_tokens": 1_000, "output_tokens": 200, "total_tokens": 1_200}),
            ("messages", {"input_tokens": 1_000, "output_tokens": 200}),
            ("generate_content", {"promptTokenCount": 1_000, "candidatesTokenCount": 200, "totalTokenCount": 1_200}),
            ("chat.completions", {"prompt_tokens": 1_000, "completion_tokens": 200}),
        ],
    )
    @pytest.mark.parametrize("is_named", [True, False])
    def test_reads_every_provider_s_words(
        self, books: Books, api_url: str, *, endpoint: str, usage: dict[str, int], is_named: bool
    ) -> None:
        named = {"endpoint": endpoint} if is_named else {}

        answer = settle(api_url, books, admit(api_url, books), usage, **named)

        assert answer.json()["charged"]["amount"] == 15_000 + 12_000

    def test_counts_an_embedding_s_input(self, books: Books, api_url: str) -> None:
        answer = settle(api_url, books, admit(api_url, books), {"prompt_tokens": 8, "total_tokens": 8})

        assert answer.json()["charged"]["amount"] == 120

    def test_never_charges_nothing_for_a_model_without_a_price(self, books: Books, api_url: str) -> None:
        answer = settle(api_url, books, admit(api_url, books), model="made-up-model")

        body = answer.json()
        assert body["price"]["is_fallback"] is True
        assert body["cost"]["amount"] == (1_000 * 1_500 + 200 * 7_500)
        assert "no price" in body["warnings"][0]

    def test_charges_tools_that_the_runtime_ran(self, books: Books, api_url: str) -> None:
        answer = settle(api_url, books, admit(api_url, books), tool_calls={"lookup": 2})

        lines = {line.get("name"): line for line in answer.json()["lines"]}
        # Nobody set a price for it: the fallback fee, and it says so.
        assert (lines["lookup"]["quantity"], lines["lookup"]["is_fallback"]) == (2, True)

    def test_records_what_the_budgets_could_not_pay(self, books: Books, api_url: str) -> None:
        hold = admit(api_url, books)
        usage = {"prompt_tokens": 0, "completion_tokens": 10**8}

        body = settle(api_url, books, hold, usage).json()

        assert body["cost"]["amount"] == 6 * 10**9
        assert body["charged"]["amount"] == 10**9
        assert body["uncovered"]["amount"] == 5 * 10**9

    def test_can_be_repeated(self, books: Books, api_url: str) -> None:
        hold, key = admit(api_url, books), str(uuid4())

        first, second = (settle(api_url, books, hold, idempotency_key=key) for _ in range(2))

        assert first.json() == second.json()
        assert books.budget().spent == CHAT_COST

    def test_happens_once(self, books: Books, api_url: str) -> None:
        hold = admit(api_url, books)
        settle(api_url, books, hold)

        answer = settle(api_url, books, hold)

        assert (answer.status_code, answer.json()["error"]) == (409, "RESERVATION_FINALIZED")

    def test_books_what_comes_after_the_hold_was_over(self, books: Books, api_url: str) -> None:
        subject = {"tenant": "acme", "agent": "triage", "dimensions": {"run": "r1"}}
        hold = admit(api_url, books, subject=subject, ttl_ms=1_000, grace_period_ms=0)
        time.sleep(1.1)
        key = str(uuid4())

        first, again = (settle(api_url, books, hold, idempotency_key=key) for _ in range(2))

        assert first.json()["status"] == "BOOKED_LATE"
        assert first.json()["event_id"].startswith("evt_")
        assert first.json()["charged"]["amount"] == CHAT_COST
        assert again.json() == first.json()
        assert books.budget().spent == CHAT_COST
        with in_tenant(books.tenant.tag):
            entry = LedgerEntry.objects.get(kind="EVENT")
        assert (entry.price or {})["version"] == "v1"
        assert (entry.subject or {})["agent"] == "triage"

    @pytest.mark.parametrize(
        ("usage", "field"),
        [
            ({}, "usage"),
            ({"prompt_tokens": -1, "completion_tokens": 1}, "usage.prompt_tokens"),
            ({"prompt_tokens": "many", "completion_tokens": 1}, "usage.prompt_tokens"),
            ({"prompt_tokens": 1.5, "completion_tokens": 1}, "usage.prompt_tokens"),
            ({"prompt_tokens": 10**11, "completion_tokens": 1}, "usage"),
        ],
    )
    def test_leaves_the_hold_alone_when_the_usage_cannot_be_true(
        self, books: Books, api_url: str, usage: dict[str, Any], field: str
    ) -> None:
        hold = admit(api_url, books)

        answer = settle(api_url, books, hold, usage)

        assert answer.status_code == 400, answer.text
        assert answer.json()["details"]["field"].startswith(field)
        assert books.budget().reserved > 0

    def test_knows_nothing_of_another_tenant_s_reservation(self, books: Books, initech: Tenant, api_url: str) -> None:
        other = Books(initech)
        hold = admit(api_url, books)

        assert settle(api_url, other, hold).status_code == 403
        assert settle(api_url, books, "rsv_made-up").status_code == 404
        assert books.budget().reserved > 0

    def test_counts_the_run_s_tokens(self, books: Books, api_url: str) -> None:
        subject = {"tenant": "acme", "dimensions": {"run": "r1"}}

        settle(api_url, books, admit(api_url, books, subject=subject))

        with in_tenant(books.tenant.tag):
            run = Run.objects.get()
        assert (run.tokens, run.tokens_held) == (1_200, 0)


SCHEMAS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "slack.post", "parameters": {}}},
    {"type": "function", "name": "zendesk.read"},
    {"name": "zendesk.write", "input_schema": {"type": "object"}},
    {"type": "web_search"},
]
POLICY = {
    "default": "allow",
    "version": 4,
    "rules": [{"pattern": "slack.*", "verdict": "deny"}, {"pattern": "*.write", "verdict": "gated"}],
}


class TestTools:
    def ask(self, url: str, books: Books, **fields: Any) -> httpx.Response:
        return call(url, books, "tools", **{"subject": {"tenant": "acme"}, "tools": SCHEMAS} | fields)

    def test_leaves_denied_tools_out_in_silence(self, books: Books, api_url: str) -> None:
        rule(books, tools=POLICY)

        answer = self.ask(api_url, books)

        assert answer.json() == {"tools": SCHEMAS[1:], "gated": ["zendesk.write"], "policy_version": 4}
        assert "slack" not in answer.text

    def test_gives_all_where_there_is_no_policy(self, books: Books, api_url: str) -> None:
        assert self.ask(api_url, books).json() == {"tools": SCHEMAS}

    @pytest.mark.parametrize(
        ("choice", "mended"),
        [
            ("required", "required"),
            ({"type": "function", "function": {"name": "slack.post"}}, "auto"),
            ({"type": "function", "name": "slack.post"}, "auto"),
            ({"type": "tool", "name": "slack.post"}, {"type": "auto"}),
            ({"type": "tool", "name": "zendesk.write"}, {"type": "tool", "name": "zendesk.write"}),
        ],
    )
    def test_mends_a_choice_that_names_what_is_gone(self, books: Books, api_url: str, choice: Any, mended: Any) -> None:
        rule(books, tools=POLICY)

        assert self.ask(api_url, books, tool_choice=choice).json()["tool_choice"] == mended

    def test_offers_no_choice_where_no_tool_is_left(self, books: Books, api_url: str) -> None:
        rule(books, tools={"default": "deny", "rules": []})

        assert self.ask(api_url, books, tool_choice="required").json() == {"tools": []}

    def test_refuses_a_schema_without_a_name(self, books: Books, api_url: str) -> None:
        answer = self.ask(api_url, books, tools=[*SCHEMAS, {"description": "?"}])

        assert (answer.status_code, answer.json()["details"]["field"]) == (400, "tools[4]")

    def test_is_refused_again_at_dispatch(self, books: Books, api_url: str) -> None:
        rule(books, tools=POLICY)
        body = {
            "idempotency_key": "k",
            "subject": {"tenant": "acme"},
            "action": {"kind": "tool.call", "name": "slack.post"},
        }

        answer = call(api_url, books, "admit", **body).json()

        assert (answer["decision"], answer["reasons"][0]["code"]) == ("DENY", "TOOL_DENIED")


class TestIsolation:
    def test_shares_nothing_between_tenants_for_the_same_session_and_prompt(
        self, books: Books, initech: Tenant, api_url: str
    ) -> None:
        other = Books(initech)

        def ask(who: Books, **query: str) -> dict[str, Any]:
            answer = httpx.get(
                f"{api_url}/v1/x-watermaster/isolation", headers={"X-Cycles-API-Key": who.key.token}, params=query
            )
            return dict(answer.json())

        ours, theirs, prod = ask(books), ask(other), ask(books, workspace="Prod")

        session = "s-1|Why is my invoice wrong?"
        assert ours["cache_key_prefix"] + session != theirs["cache_key_prefix"] + session
        assert ours["vector_namespace"] != theirs["vector_namespace"]
        assert set(ours["credential_scopes"]).isdisjoint(theirs["credential_scopes"])
        assert prod["cache_key_prefix"] != ours["cache_key_prefix"]
        assert (ours["tenant"], theirs["tenant"]) == ("acme", "initech")

    def test_is_for_keys_of_the_tenant(self, api_url: str) -> None:
        assert httpx.get(f"{api_url}/v1/x-watermaster/isolation").status_code == 401

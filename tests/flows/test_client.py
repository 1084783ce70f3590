"""Our own Python client, from its sources, against the api process."""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool

from budgets.services.isolation import Kept, isolation_of, name_of
from routing.pricing.kinds import Kind
from routing.pricing.price import Price, PriceSource
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.proxy import proxy_before
from tests.support.rules import LARGE as LARGE_MODEL
from tests.support.rules import SMALL as SMALL_MODEL
from tests.support.rules import rule

# By name, as mypy fails on the sources of the package.
create_agent = importlib.import_module("langchain.agents").create_agent

SOURCES = Path(__file__).parents[2] / "clients" / "python" / "src"
SMALL = "openai:gpt-4o-mini"
COMPLETION = {"kind": "llm.completion", "name": SMALL}
REQUEST = {"model": SMALL, "input_tokens": 1_000, "max_output_tokens": 500}
#: USD 0.15 and 0.60 for a million tokens.
MINI = Price(
    provider="openai",
    model="gpt-4o-mini",
    source=PriceSource.LIST,
    version="v1",
    rates={"standard": {Kind.INPUT: 15_000_000, Kind.OUTPUT: 60_000_000}},
)
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100}
COST = 15_000 + 6_000
TOOLS = {
    "default": "allow",
    "rules": [{"pattern": "wire_*", "verdict": "deny"}, {"pattern": "mail", "verdict": "gated"}],
    "version": 1,
}


@tool
def search() -> str:
    """Searches."""
    return "found"


@tool
def wire_money() -> str:
    """Wires money."""
    raise AssertionError("never called")


class ScriptedModel(FakeMessagesListChatModel):
    """Says its messages one after the other, and keeps what it is asked with."""

    asked: list[dict[str, Any]]

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(tools_seen=[each.name for each in tools], **options)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **asked: Any) -> ChatResult:
        self.asked.append(asked)
        return super()._generate(messages, stop, run_manager)


def says(text: str, *, calls: str = "") -> AIMessage:
    """As a model answers that took 1,000 tokens in and gave 100."""
    wanted = [{"name": calls, "args": {}, "id": f"call_{calls}"}] if calls else []
    counted = {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100}
    return AIMessage(text, tool_calls=wanted, usage_metadata=counted)


@pytest.fixture(scope="module")
def library() -> Iterator[Any]:
    """The package `watermaster_client`, which is no dependency of the server."""
    sys.path.insert(0, str(SOURCES))
    yield importlib.import_module("watermaster_client")
    sys.path.remove(str(SOURCES))


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10_000_000)
    models = {SMALL: SMALL_MODEL | {"price": MINI.as_document()}, "openai:gpt-4o": LARGE_MODEL}
    rule(books, tools=TOOLS, tool_prices={"search": 700}, models=models)
    return books


@pytest.fixture
def wm(library: Any, books: Books, api_url: str, tmp_path: Path) -> Iterator[Any]:
    with library.Watermaster(
        api_url, books.key.token, subject={"tenant": "acme"}, outbox_folder=tmp_path / "outbox"
    ) as client:
        yield client


class TestAdmit:
    def test_holds_money_inside_the_block_and_gives_it_back(self, wm: Any, books: Books) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST) as act:
            assert str(act.route) == SMALL
            assert act.isolation.cache_key_prefix
            assert books.budget().reserved == act.reserved.amount > 0

        assert books.budget().reserved == 0

    def test_makes_the_names_that_the_server_makes(self, wm: Any, books: Books) -> None:
        subject = {"tenant": "acme", "workspace": "prod"}
        with wm.admit(action=COMPLETION, request=REQUEST, subject=subject) as act:
            of_call = act.names

        for names, suffixes in ((wm.names(), [""]), (of_call, ["", "/workspace:prod"])):
            own = isolation_of(books.tenant.tag, suffixes=suffixes)
            assert str(names.cache("a", "b")) == name_of(own, Kept.CACHE, ["a", "b"])
            assert str(names.vectors("docs")) == name_of(own, Kept.VECTORS, ["docs"])
        assert wm.names(workspace="prod").cache("a") == of_call.cache("a")

    def test_leaves_the_model_to_the_class_and_keeps_to_its_caps(self, wm: Any) -> None:
        with wm.admit(
            action={"kind": "llm.completion", "name": "routed"},
            request={"input_tokens": 10, "class_hint": {"class": "deep", "confidence": 0.9}},
        ) as act:
            assert (str(act.route), act.admission.traffic_class, act.caps.trim(9_000)) == (
                "openai:gpt-4o",
                "deep",
                4_000,
            )

    def test_names_the_tools_that_the_model_may_not_see(self, wm: Any) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST | {"tools": ["search", "wire_money", "mail"]}) as act:
            seen = [name for name in ("search", "wire_money", "mail") if act.caps.permits_tool(name)]

        assert seen == ["search", "mail"]

    def test_raises_what_the_budget_refuses(self, library: Any, wm: Any, books: Books) -> None:
        with pytest.raises(library.Denied, match="has 10000000 USD_MICROCENTS left") as denied:
            wm.admit(action=COMPLETION, estimate={"unit": "USD_MICROCENTS", "amount": 10_000_001})

        assert denied.value.codes == {"BUDGET_EXCEEDED"}
        assert denied.value.explain_url.endswith(f"{denied.value.decision_id}/")
        assert books.budget().reserved == 0

    def test_raises_what_no_model_is(self, library: Any, wm: Any) -> None:
        with pytest.raises(library.Denied) as denied:
            wm.admit(action=COMPLETION, request={"model": "nobody:nothing"})

        assert denied.value.codes == {"MODEL_UNKNOWN"}

    @pytest.mark.parametrize(("tool", "code"), [("wire_money", "TOOL_DENIED"), ("mail", "TOOL_GATED")])
    def test_refuses_a_tool_at_dispatch(self, library: Any, wm: Any, tool: str, code: str) -> None:
        with pytest.raises(library.Denied) as denied:
            wm.admit(action={"kind": "tool.call", "name": tool})

        assert denied.value.codes == {code}

    def test_says_that_the_key_is_wrong(self, library: Any, books: Books, api_url: str) -> None:
        stranger = library.Watermaster(api_url, books.key.token[:-1] + "!", use_outbox=False)

        with stranger as wm, pytest.raises(library.ApiError) as refused:
            wm.admit(subject={"tenant": "acme"}, action=COMPLETION)

        assert (refused.value.status, refused.value.code) == (401, "UNAUTHORIZED")

    def test_keeps_the_hold_of_a_long_call_alive(self, wm: Any, books: Books) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST, ttl_ms=1_000, grace_period_ms=0) as act:
            time.sleep(1.3)
            act.release()

        assert books.budget().reserved == 0


class TestSettle:
    def test_books_what_the_usage_costs(self, wm: Any, books: Books) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST) as act:
            settlement = act.settle({"model": "gpt-4o-mini-2024-07-18", "usage": USAGE}, latency_ms=7)

        assert (settlement.status, settlement.charged.amount, settlement.cost.amount) == ("COMMITTED", COST, COST)
        assert (settlement.price.model, settlement.price.is_fallback) == ("gpt-4o-mini", False)
        assert [(line.kind, line.quantity) for line in settlement.lines] == [("input", 1_000), ("output", 100)]
        assert (books.budget().spent, books.budget().reserved) == (COST, 0)

    def test_books_the_price_of_a_tool(self, wm: Any, books: Books) -> None:
        with wm.admit(action={"kind": "tool.call", "name": "search"}) as act:
            assert act.commit().charged.amount == 700

        assert (books.budget().spent, books.budget().reserved) == (700, 0)

    def test_pays_once_though_the_answers_are_lost(
        self, library: Any, books: Books, api_url: str, tmp_path: Path
    ) -> None:
        with (
            proxy_before(api_url) as proxy,
            library.Watermaster(
                proxy.url, books.key.token, retry=library.Retry(attempts_max=2), outbox_folder=tmp_path
            ) as wm,
        ):
            with wm.admit(subject={"tenant": "acme"}, action=COMPLETION, request=REQUEST) as act:
                proxy.loses_answers = True
                assert act.settle(USAGE).status == "QUEUED"
            proxy.loses_answers = False
            deadline = time.monotonic() + 10
            while wm.flush() and time.monotonic() < deadline:
                time.sleep(0.05)

        assert proxy.lost >= 2
        assert wm.outbox.refused() == []
        assert books.budget().spent == COST

    def test_keeps_what_the_server_will_not_take(self, library: Any, wm: Any, books: Books) -> None:
        with wm.admit(action=COMPLETION, request=REQUEST) as act:
            act.release()
            act.has_happened = False
            with pytest.raises(library.ApiError, match="RESERVATION_FINALIZED"):
                act.settle({"prompt_tokens": 1, "completion_tokens": 1})

        [kept] = wm.outbox.refused()
        assert (kept.status, kept.error) == (409, "RESERVATION_FINALIZED")
        assert kept.record.body["usage"] == {"prompt_tokens": 1, "completion_tokens": 1}


class TestTools:
    def test_gives_the_schemas_that_may_be_shown(self, wm: Any) -> None:
        schemas = [{"type": "function", "function": {"name": name}} for name in ("search", "wire_money", "mail")]

        listed = wm.tools(schemas, tool_choice={"type": "function", "function": {"name": "wire_money"}})

        assert listed.tools == [schemas[0], schemas[2]]
        assert listed.gated == ["mail"]
        assert listed.tool_choice == "auto"


class TestAsync:
    def test_is_enforced_alike(self, library: Any, books: Books, api_url: str, tmp_path: Path) -> None:
        async def scene() -> Any:
            wm = library.AsyncWatermaster(api_url, books.key.token, subject={"tenant": "acme"}, outbox_folder=tmp_path)
            async with wm, wm.admit(action=COMPLETION, request=REQUEST) as act:
                return await act.settle(USAGE)

        assert asyncio.run(scene()).charged.amount == books.budget().spent == COST


class TestPreToolUse:
    @pytest.mark.parametrize(("tool", "decision"), [("search", "none"), ("wire_money", "deny"), ("mail", "ask")])
    @pytest.mark.usefixtures("library")
    def test_decides_by_the_tool_policy(
        self, books: Books, api_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, tool: str, decision: str
    ) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        hook = importlib.import_module("watermaster_client.hooks.claude_code_pretooluse")
        event = {"session_id": "s-1", "hook_event_name": "PreToolUse", "tool_name": tool, "tool_use_id": "t-1"}
        environ = {"WATERMASTER_URL": api_url, "WATERMASTER_API_KEY": books.key.token}

        decided, reason = hook.decide(json.dumps(event), environ)

        assert decided == decision, reason


class TestLangChainAgent:
    @pytest.mark.usefixtures("library")
    def test_is_routed_capped_and_paid_for(self, wm: Any, books: Books) -> None:
        integration = importlib.import_module("watermaster_client.integrations.langchain")
        answers: list[BaseMessage] = [says("", calls="wire_money"), says("", calls="search"), says("Done.")]
        small, own = ScriptedModel(responses=answers, asked=[]), ScriptedModel(responses=[], asked=[])
        middleware = integration.WatermasterMiddleware(wm, models={SMALL: small})
        agent = create_agent(own, tools=[search, wire_money], middleware=[middleware])

        messages = agent.invoke({"messages": [{"role": "user", "content": "Pay."}]})["messages"]

        assert messages[-1].content == "Done."
        assert [(asked["max_tokens"], asked["tools_seen"]) for asked in small.asked] == [(1_000, ["search"])] * 3
        assert [message.content for message in messages if isinstance(message, ToolMessage)] == [
            "The tool wire_money was not called: The tool policy denies wire_money.",
            "found",
        ]
        assert (books.budget().spent, books.budget().reserved) == (3 * COST + 700, 0)

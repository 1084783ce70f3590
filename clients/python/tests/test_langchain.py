"""A real LangChain agent over a fake model: what is enforced shows in what the model and the tools see."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, tool

from tests.conftest import KEY, QUICK
from tests.fake_server import ADMIT, SETTLE, FakeServer, Reply, admission, denial, refusal
from watermaster_client import AsyncWatermaster, Denied, Watermaster
from watermaster_client.integrations.langchain import WatermasterMiddleware

SMALL, LARGE = "openai:gpt-4o-mini", "openai:gpt-4o"


class FakeModel(BaseChatModel):
    """Says what it is told to say, and keeps what it was asked with."""

    answers: list[AIMessage]
    asked: list[dict[str, Any]] = []  # noqa: RUF012

    @property
    def _llm_type(self) -> str:
        return "fake"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        return self.bind(tool_names=[getattr(each, "name", each) for each in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(kwargs)
        return ChatResult(generations=[ChatGeneration(message=self.answers.pop(0))])


def says(text: str, **metadata: Any) -> AIMessage:
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, "input_token_details": {"cache_read": 40}}
    return AIMessage(text, usage_metadata=usage, response_metadata=metadata)


def calls(name: str) -> AIMessage:
    answer = says("")
    answer.tool_calls = [{"name": name, "args": {"city": "Rome"}, "id": "call_1", "type": "tool_call"}]
    return answer


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}."


@tool
def wire_money(city: str) -> str:
    """Wires money."""
    raise AssertionError("never called")


def fake(*answers: AIMessage) -> FakeModel:
    return FakeModel(answers=list(answers), asked=[])


def held(**fields: Any) -> Reply:
    return Reply(body=admission(reservation={"reservation_id": "rsv_1"}, **fields))


def ask(model: FakeModel, middleware: WatermasterMiddleware) -> list[BaseMessage]:
    agent: Any = create_agent(model, tools=[weather, wire_money], middleware=[middleware], system_prompt="Be brief.")
    messages: list[BaseMessage] = agent.invoke({"messages": [{"role": "user", "content": "Rome?"}]})["messages"]
    return messages


class TestModelCall:
    def test_is_admitted_and_settled_with_its_usage(self, wm: Watermaster, server: FakeServer) -> None:
        model = fake(says("Sunny.", id="chatcmpl-1"))

        assert ask(model, WatermasterMiddleware(wm, model=SMALL))[-1].content == "Sunny."

        question, settle = server.to(ADMIT)[0].body, server.to(SETTLE)[0].body
        assert question["action"] == {"kind": "llm.completion", "name": SMALL}
        assert question["request"] == {
            "model": SMALL,
            "tools": ["weather", "wire_money"],
            "input_tokens": 5,  # "Rome?" and "Be brief." are 14 bytes
            "input_tokens_source": "bytes",
        }
        assert len(question["run"]["run_id"]) == 32
        assert settle["usage"]["input_tokens_details"] == {"cached_tokens": 40}
        assert (settle["response_id"], settle["latency_ms"] >= 0) == ("chatcmpl-1", True)

    def test_hands_on_the_providers_own_usage(self, wm: Watermaster, server: FakeServer) -> None:
        raw = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 40}}

        ask(fake(says("Sunny.", token_usage=raw)), WatermasterMiddleware(wm))

        assert server.to(SETTLE)[0].body["usage"] == raw

    def test_goes_to_the_model_of_the_route(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, held(route={"provider": "openai", "model": "gpt-4o-mini", "tier": "small"}))
        large, small = fake(), fake(says("Sunny."))

        assert ask(large, WatermasterMiddleware(wm, model=LARGE, models={SMALL: small}))[-1].content == "Sunny."
        assert large.asked == []

    def test_is_not_sent_where_the_route_is_unknown(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, held(route={"provider": "x", "model": "y"}))

        with pytest.raises(LookupError, match="The route is x:y"):
            ask(fake(), WatermasterMiddleware(wm, models={}))

        assert server.calls[-1].path.endswith("/release")

    def test_keeps_within_the_caps_and_does_not_see_denied_tools(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, held(caps={"max_tokens": 256, "tool_denylist": ["wire_money"]}))
        model = fake(says("Sunny."))

        ask(model, WatermasterMiddleware(wm))

        assert model.asked[0]["max_tokens"] == 256
        assert model.asked[0]["tool_names"] == ["weather"]

    def test_is_not_made_when_it_is_denied(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body=denial("BUDGET_EXCEEDED")), Reply(body=denial("BUDGET_EXCEEDED")))

        with pytest.raises(Denied, match="BUDGET_EXCEEDED"):
            ask(fake(), WatermasterMiddleware(wm))
        spoken = ask(fake(), WatermasterMiddleware(wm, on_deny=lambda denied: f"Later, please: {denied}"))

        assert spoken[-1].content == "Later, please: Refused: BUDGET_EXCEEDED."

    def test_keeps_its_answer_though_the_settle_is_refused(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(SETTLE, refusal(410, "RESERVATION_EXPIRED"))

        assert ask(fake(says("Sunny.")), WatermasterMiddleware(wm))[-1].content == "Sunny."
        assert wm.outbox is not None
        assert len(wm.outbox.refused()) == 1

    def test_without_usage_leaves_its_hold_to_end_by_itself(self, wm: Watermaster, server: FakeServer) -> None:
        ask(fake(AIMessage("Sunny.")), WatermasterMiddleware(wm))

        assert [call.path for call in server.calls] == [ADMIT]


class TestToolCall:
    def test_is_admitted_at_dispatch_in_the_same_run(self, wm: Watermaster, server: FakeServer) -> None:
        ask(fake(calls("weather"), says("Sunny.")), WatermasterMiddleware(wm))

        questions = [call.body for call in server.to(ADMIT)]
        assert [question["action"]["kind"] for question in questions] == [
            "llm.completion",
            "tool.call",
            "llm.completion",
        ]
        assert questions[1]["action"]["name"] == "weather"
        assert len({question["run"]["run_id"] for question in questions}) == 1
        [booked] = server.to("/v1/reservations/rsv_2/commit")
        assert booked.body["actual"] == {"unit": "USD_MICROCENTS", "amount": 500}

    @pytest.mark.parametrize(
        ("code", "told"), [("TOOL_DENIED", "Refused: TOOL_DENIED."), ("TOOL_GATED", "a person's approval")]
    )
    def test_is_not_made_when_it_is_denied_and_the_model_is_told(
        self, wm: Watermaster, server: FakeServer, code: str, told: str
    ) -> None:
        server.then(ADMIT, held(), Reply(body=denial(code)))

        messages = ask(fake(calls("wire_money"), says("Then not.")), WatermasterMiddleware(wm))

        [result] = [message for message in messages if isinstance(message, ToolMessage)]
        assert result.status == "error"
        assert told in str(result.content)
        assert messages[-1].content == "Then not."


class TestRun:
    def test_is_a_new_one_for_each_invocation(self, wm: Watermaster, server: FakeServer) -> None:
        middleware = WatermasterMiddleware(wm)
        for _ in range(2):
            ask(fake(says("Sunny.")), middleware)

        assert len({call.body["run"]["run_id"] for call in server.to(ADMIT)}) == 2


class TestAsyncAgent:
    def test_is_enforced_alike(self, server: FakeServer, tmp_path: Path) -> None:
        server.then(ADMIT, held(caps={"max_tokens": 9}), Reply(body=denial("TOOL_DENIED")))
        model = fake(calls("wire_money"), says("Then not."))

        async def scene() -> Any:
            async with AsyncWatermaster(server.url, KEY, retry=QUICK, outbox_folder=tmp_path) as wm:
                middleware = WatermasterMiddleware(async_client=wm)
                agent: Any = create_agent(model, tools=[weather, wire_money], middleware=[middleware])
                return await agent.ainvoke({"messages": [{"role": "user", "content": "Rome?"}]})

        result = asyncio.run(scene())

        assert result["messages"][-1].content == "Then not."
        assert "watermaster_run_id" not in result
        assert model.asked[0]["max_tokens"] == 9
        assert len(server.to(SETTLE)) == 2

    def test_says_which_client_is_missing(self, wm: Watermaster) -> None:
        agent: Any = create_agent(fake(), middleware=[WatermasterMiddleware(wm)])

        with pytest.raises(TypeError, match="give WatermasterMiddleware an async_client"):
            asyncio.run(agent.ainvoke({"messages": [{"role": "user", "content": "Rome?"}]}))

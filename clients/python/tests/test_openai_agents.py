"""The OpenAI Agents SDK's own runner over a fake model."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agents import (
    Agent,
    ModelSettings,
    RunConfig,
    Runner,
    RunResult,
    RunResultStreaming,
    function_tool,
    set_trace_processors,
)

from tests.conftest import KEY, QUICK
from tests.fake_agents import FakeModel, FakeProvider, calls, says
from tests.fake_server import ADMIT, SETTLE, FakeServer, Reply, admission, denial
from watermaster_client import AsyncWatermaster, Denied
from watermaster_client.integrations.openai_agents import WatermasterProvider, guard_tools, name_of


@pytest.fixture(autouse=True)
def tracing_stays_here() -> None:
    """Traces exist and go nowhere."""
    set_trace_processors([])


@function_tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}."


@function_tool
def wire_money(city: str) -> str:
    """Wires money."""
    raise AssertionError("never called")


class Scene:
    """One agent with both tools, run once."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def ask(self, large: FakeModel, **options: Any) -> RunResult:
        async def run(agent: Agent[Any], config: RunConfig) -> RunResult:
            return await Runner.run(agent, "Rome?", run_config=config)

        result: RunResult = asyncio.run(self._with_agent(run, large, **options))
        return result

    def stream(self, large: FakeModel, **options: Any) -> RunResultStreaming:
        async def run(agent: Agent[Any], config: RunConfig) -> RunResultStreaming:
            result = Runner.run_streamed(agent, "Rome?", run_config=config)
            async for _ in result.stream_events():
                pass
            return result

        result: RunResultStreaming = asyncio.run(self._with_agent(run, large, **options))
        return result

    async def _with_agent(self, run: Any, large: FakeModel, **options: Any) -> Any:
        models: dict[str, FakeModel] = options.pop("models", {})
        settings = options.pop("settings", ModelSettings())
        async with AsyncWatermaster(self._server.url, KEY, retry=QUICK, outbox_folder=self._folder) as wm:
            provider = WatermasterProvider(wm, provider=FakeProvider(**{"gpt-4o": large}, **models), **options)
            tools = guard_tools(wm, [weather, wire_money])
            agent = Agent(name="a", instructions="Be brief.", model="gpt-4o", tools=tools, model_settings=settings)
            return await run(agent, RunConfig(model_provider=provider))


@pytest.fixture
def scene(server: FakeServer, tmp_path: Path) -> Scene:
    return Scene(server, tmp_path)


def held(**fields: Any) -> Reply:
    return Reply(body=admission(reservation={"reservation_id": "rsv_1"}, **fields))


class TestModelCall:
    def test_is_admitted_and_settled_with_its_usage(self, scene: Scene, server: FakeServer) -> None:
        assert scene.ask(FakeModel(says("Sunny."))).final_output == "Sunny."

        question, settle = server.to(ADMIT)[0].body, server.to(SETTLE)[0].body
        assert question["request"] == {
            "model": "openai:gpt-4o",
            "tools": ["weather", "wire_money"],
            "input_tokens": 16,  # the words and what wraps them
            "input_tokens_source": "bytes",
        }
        assert question["run"]["run_id"].startswith("trace_")
        assert settle["usage"]["usage"] == {
            "input_tokens": 100,
            "output_tokens": 20,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens_details": {"reasoning_tokens": 5},
        }
        assert settle["response_id"] == "resp_1"

    def test_goes_to_the_model_of_the_route(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(route={"provider": "openai", "model": "gpt-4o-mini"}))
        large, small = FakeModel(), FakeModel(says("Sunny."))

        assert scene.ask(large, models={"gpt-4o-mini": small}).final_output == "Sunny."
        assert large.asked == []

    def test_leaves_the_choice_of_a_model_to_the_class(self, scene: Scene, server: FakeServer) -> None:
        scene.ask(FakeModel(says("Sunny.")), class_chooses=True)

        assert "model" not in server.to(ADMIT)[0].body["request"]

    def test_keeps_within_the_caps_and_does_not_see_denied_tools(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(caps={"max_tokens": 256, "tool_denylist": ["wire_money"]}))
        model = FakeModel(says("Sunny."))

        scene.ask(model, settings=ModelSettings(max_tokens=900, temperature=0.5, tool_choice="wire_money"))

        [(settings, tools)] = model.asked
        assert (settings.max_tokens, settings.temperature, settings.tool_choice) == (256, 0.5, "auto")
        assert tools == ["weather"]

    def test_is_not_made_when_it_is_denied(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body=denial("BUDGET_EXCEEDED")))

        with pytest.raises(Denied, match="BUDGET_EXCEEDED"):
            scene.ask(FakeModel())


class TestStream:
    def test_is_settled_at_its_end(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(caps={"max_tokens": 9}))
        model = FakeModel(says("Sunny."))

        assert scene.stream(model).final_output == "Sunny."

        assert model.asked[0][0].max_tokens == 9
        assert server.to(ADMIT)[0].body["request"]["stream"] is True
        assert [call.body["usage"]["usage"]["input_tokens_details"]["cached_tokens"] for call in server.to(SETTLE)] == [
            40
        ]

    def test_that_is_left_is_not_given_back(self, server: FakeServer, tmp_path: Path) -> None:
        async def scene() -> None:
            async with AsyncWatermaster(server.url, KEY, retry=QUICK, outbox_folder=tmp_path) as wm:
                provider = WatermasterProvider(wm, provider=FakeProvider(m=FakeModel(says("Sunny."))))
                stream = provider.get_model("m").stream_response(
                    None,
                    "Rome?",
                    ModelSettings(),
                    [],
                    None,
                    [],
                    None,  # type: ignore[arg-type]  # the fake does not trace
                    previous_response_id=None,
                    conversation_id=None,
                    prompt=None,
                )
                assert (await anext(stream)).type == "response.output_text.delta"
                await stream.aclose()  # type: ignore[attr-defined]  # it is a generator

        asyncio.run(scene())

        assert [call.path for call in server.calls] == [ADMIT]


class TestToolCall:
    def test_is_admitted_at_dispatch_in_the_same_run(self, scene: Scene, server: FakeServer) -> None:
        scene.ask(FakeModel(calls("weather"), says("Sunny.")))

        questions = [call.body for call in server.to(ADMIT)]
        assert [question["action"]["kind"] for question in questions] == [
            "llm.completion",
            "tool.call",
            "llm.completion",
        ]
        assert len({question["run"]["run_id"] for question in questions}) == 1
        [booked] = server.to("/v1/reservations/rsv_2/commit")
        assert booked.body["actual"] == {"unit": "USD_MICROCENTS", "amount": 500}

    def test_is_not_made_when_it_is_denied_and_the_model_is_told(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(), Reply(body=denial("TOOL_GATED")))

        result = scene.ask(FakeModel(calls("wire_money"), says("Then not.")))

        assert result.final_output == "Then not."
        assert any("needs a person's approval" in str(item.to_input_item()) for item in result.new_items)

    def test_leaves_the_agents_own_tools_as_they_were(self, server: FakeServer) -> None:
        wm = AsyncWatermaster(server.url, KEY, use_outbox=False)

        [guarded] = guard_tools(wm, [weather])

        assert guarded is not weather
        assert not weather.tool_input_guardrails


class TestNames:
    @pytest.mark.parametrize(
        ("sdk", "ours"),
        [
            (None, None),
            ("gpt-4o", "openai:gpt-4o"),
            ("openai/gpt-4o", "openai:gpt-4o"),
            ("litellm/x-ai/grok", "x-ai:grok"),
        ],
    )
    def test_of_the_sdk_become_ours(self, sdk: str | None, ours: str | None) -> None:
        assert name_of(sdk) == ours

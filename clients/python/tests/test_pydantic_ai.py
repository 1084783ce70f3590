"""A real Pydantic AI agent over its own FunctionModel."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, AgentRunResult, ModelMessage, ModelResponse, ModelSettings, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.conftest import KEY, QUICK
from tests.fake_server import ADMIT, SETTLE, FakeServer, Reply, admission, denial
from watermaster_client import AsyncWatermaster, Denied
from watermaster_client.integrations.pydantic_ai import Enforcement, WatermasterModel

SMALL, LARGE = "openai:gpt-4o-mini", "openai:gpt-4o"


class Fake:
    """Says what it is told to say, and keeps what it was asked with."""

    def __init__(self, *answers: TextPart | ToolCallPart) -> None:
        self.answers = list(answers)
        self.asked: list[AgentInfo] = []
        self.model = FunctionModel(self._answer, stream_function=self._stream)

    def _answer(self, messages: list[ModelMessage], asked: AgentInfo) -> ModelResponse:
        self.asked.append(asked)
        usage = RequestUsage(input_tokens=100, cache_read_tokens=40, output_tokens=20, output_reasoning_tokens=5)
        return ModelResponse(parts=[self.answers.pop(0)], usage=usage, provider_response_id="resp_1")

    async def _stream(self, messages: list[ModelMessage], asked: AgentInfo) -> AsyncIterator[str]:
        self.asked.append(asked)
        yield "Sun"
        yield "ny."


class Scene:
    """One agent with two tools, run once."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def ask(self, fake: Fake, *, settings: ModelSettings | None = None, **options: Any) -> AgentRunResult[str]:
        async def run() -> AgentRunResult[str]:
            async with AsyncWatermaster(self._server.url, KEY, retry=QUICK, outbox_folder=self._folder) as wm:
                return await agent(fake, Enforcement(wm, **options)).run("Rome?", model_settings=settings)

        return asyncio.run(run())

    def stream(self, fake: Fake, **options: Any) -> str:
        async def run() -> str:
            async with (
                AsyncWatermaster(self._server.url, KEY, retry=QUICK, outbox_folder=self._folder) as wm,
                agent(fake, Enforcement(wm, **options)).run_stream("Rome?") as result,
            ):
                return await result.get_output()

        return asyncio.run(run())


def agent(fake: Fake, enforcement: Enforcement) -> Agent[None, str]:
    made: Agent[None, str] = Agent(fake.model, instructions="Be brief.", capabilities=[enforcement])

    @made.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"Sunny in {city}."

    @made.tool_plain
    def wire_money(city: str) -> str:
        """Wires money."""
        raise AssertionError("never called")

    return made


@pytest.fixture
def scene(server: FakeServer, tmp_path: Path) -> Scene:
    return Scene(server, tmp_path)


def held(**fields: Any) -> Reply:
    return Reply(body=admission(reservation={"reservation_id": "rsv_1"}, **fields))


class TestModelCall:
    def test_is_admitted_and_settled_with_its_usage(self, scene: Scene, server: FakeServer) -> None:
        assert scene.ask(Fake(TextPart("Sunny.")), model=LARGE, subject={"agent": "a"}).output == "Sunny."

        question, settle = server.to(ADMIT)[0].body, server.to(SETTLE)[0].body
        assert question["subject"] == {"agent": "a"}
        assert question["request"] == {
            "model": LARGE,
            "tools": ["weather", "wire_money"],
            "input_tokens": 5,
            "input_tokens_source": "bytes",
        }
        assert settle["usage"] == {
            "input_tokens": 100,
            "output_tokens": 20,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens_details": {"reasoning_tokens": 5},
        }
        assert settle["response_id"] == "resp_1"

    def test_goes_to_the_model_of_the_route(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(route={"provider": "openai", "model": "gpt-4o-mini"}))
        large, small = Fake(), Fake(TextPart("Sunny."))

        assert scene.ask(large, model=LARGE, models={SMALL: small.model}.__getitem__).output == "Sunny."
        assert large.asked == []

    def test_keeps_within_the_caps_and_does_not_see_denied_tools(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(caps={"max_tokens": 256, "tool_allowlist": ["weather"]}))
        fake = Fake(TextPart("Sunny."))

        scene.ask(fake, settings={"max_tokens": 900, "temperature": 0.5})

        [asked] = fake.asked
        assert asked.model_settings is not None
        assert (asked.model_settings["max_tokens"], asked.model_settings["temperature"]) == (256, 0.5)
        assert [tool.name for tool in asked.function_tools] == ["weather"]
        assert server.to(ADMIT)[0].body["request"]["max_output_tokens"] == 900

    def test_is_not_made_when_it_is_denied(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body=denial("BUDGET_EXCEEDED")))

        with pytest.raises(Denied, match="BUDGET_EXCEEDED"):
            scene.ask(Fake())

    def test_is_enforced_in_a_model_alone(self, server: FakeServer, tmp_path: Path) -> None:
        async def run() -> str:
            async with AsyncWatermaster(server.url, KEY, outbox_folder=tmp_path) as wm:
                model = WatermasterModel(Fake(TextPart("Sunny.")).model, wm, model=LARGE, run={"run_id": "r1"})
                return (await Agent(model).run("Rome?")).output

        assert asyncio.run(run()) == "Sunny."
        assert server.to(ADMIT)[0].body["run"] == {"run_id": "r1"}


class TestStream:
    def test_is_settled_at_its_end(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(caps={"max_tokens": 9}))
        fake = Fake()

        assert scene.stream(fake) == "Sunny."

        assert fake.asked[0].model_settings == {"max_tokens": 9}
        [settle] = server.to(SETTLE)
        assert settle.body["usage"]["output_tokens"] > 0


class TestToolCall:
    def test_is_admitted_at_dispatch_in_the_same_run(self, scene: Scene, server: FakeServer) -> None:
        result = scene.ask(Fake(ToolCallPart("weather", {"city": "Rome"}), TextPart("Sunny.")))

        questions = [call.body for call in server.to(ADMIT)]
        assert [question["action"]["kind"] for question in questions] == [
            "llm.completion",
            "tool.call",
            "llm.completion",
        ]
        assert {question["run"]["run_id"] for question in questions} == {result.run_id}
        [booked] = server.to("/v1/reservations/rsv_2/commit")
        assert booked.body["actual"] == {"unit": "USD_MICROCENTS", "amount": 500}

    def test_is_not_made_when_it_is_denied_and_the_model_is_told(self, scene: Scene, server: FakeServer) -> None:
        server.then(ADMIT, held(), Reply(body=denial("TOOL_DENIED")))

        result = scene.ask(Fake(ToolCallPart("wire_money", {"city": "Rome"}), TextPart("Then not.")))

        assert result.output == "Then not."
        assert "The tool wire_money was not called: Refused: TOOL_DENIED." in str(result.all_messages())

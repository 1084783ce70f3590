"""A model of the OpenAI Agents SDK that answers with what it is given, and what answers are made of."""

from collections.abc import AsyncIterator
from typing import Any

from agents import (
    Model,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    Tool,
    Usage,
)
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

INTO = InputTokensDetails(cached_tokens=40, cache_write_tokens=0)
OUT = OutputTokensDetails(reasoning_tokens=5)


class FakeModel(Model):
    """Answers with what it is given, and keeps what it was asked with."""

    def __init__(self, *answers: TResponseOutputItem) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[ModelSettings, list[str]]] = []

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,
        model_settings: ModelSettings,
        tools: list[Tool],
        *rest: Any,
        **more: Any,
    ) -> ModelResponse:
        self.asked.append((model_settings, [tool.name for tool in tools]))
        usage = Usage(
            requests=1,
            input_tokens=100,
            output_tokens=20,
            total_tokens=120,
            input_tokens_details=INTO,
            output_tokens_details=OUT,
        )
        return ModelResponse(output=[self.answers.pop(0)], usage=usage, response_id="resp_1")

    async def stream_response(
        self,
        system_instructions: Any,
        input: Any,
        model_settings: ModelSettings,
        tools: list[Tool],
        *rest: Any,
        **more: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        self.asked.append((model_settings, [tool.name for tool in tools]))
        yield ResponseTextDeltaEvent(
            type="response.output_text.delta",
            content_index=0,
            delta="Sun",
            item_id="m",
            output_index=0,
            sequence_number=0,
            logprobs=[],
        )
        usage = ResponseUsage(
            input_tokens=100,
            output_tokens=20,
            total_tokens=120,
            input_tokens_details=INTO,
            output_tokens_details=OUT,
        )
        response = Response(
            id="resp_1",
            created_at=0,
            model="m",
            object="response",
            output=[self.answers.pop(0)],
            parallel_tool_calls=True,
            tool_choice="auto",
            tools=[],
            usage=usage,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=1)


class FakeProvider(ModelProvider):
    """Models by their names; asking for another is an error."""

    def __init__(self, **models: FakeModel) -> None:
        self.models = models

    def get_model(self, model_name: str | None) -> Model:
        return self.models[str(model_name)]


def says(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(id="m", content=[content], role="assistant", status="completed", type="message")


def calls(tool: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(name=tool, arguments='{"city": "Rome"}', call_id="call_1", type="function_call")

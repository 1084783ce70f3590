"""Watermaster in Pydantic AI: `Agent(model, capabilities=[Enforcement(wm)])`.

Every model call of a run is admitted, sent to the model of the route with the caps applied and the denied tools left
out, and settled with its usage. Every call of a function tool is admitted at dispatch; the model is told of a refusal.
`WatermasterModel` alone does the first half, wherever a model is taken.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic_ai import ModelMessage, ModelResponse, ModelSettings, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapToolExecuteHandler
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import merge_model_settings
from pydantic_ai.usage import RequestUsage

from watermaster_client.act import Admitted, Outcome
from watermaster_client.aio import AsyncAct, AsyncWatermaster
from watermaster_client.errors import Denied
from watermaster_client.integrations.common import (
    abook,
    abook_tool,
    as_text,
    model_action,
    model_request,
    refusal,
    tool_action,
)
from watermaster_client.usage import responses_usage
from watermaster_client.wire import Run, Subject


class WatermasterModel(WrapperModel):
    """A model whose calls are admitted, routed, capped and settled."""

    def __init__(
        self,
        wrapped: Model | str,
        client: AsyncWatermaster,
        *,
        model: str | None = None,
        models: Callable[[str], Model | str] = infer_model,
        subject: Subject | None = None,
        run: Run | None = None,
    ) -> None:
        """`model` is Watermaster's name for the wrapped one, `provider:model`; without it the traffic class chooses.

        `models` gives the model of a route by the same kind of name.
        """
        super().__init__(wrapped)
        self._client = client
        self._asked_as = model
        self._models = models
        self._subject: Subject = subject or {}
        self._run = run

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async with await self._admit(messages, model_settings, model_request_parameters, stream=False) as act:
            begun_at = time.perf_counter()
            settings, parameters = self._applied(act, model_settings, model_request_parameters)
            response = await self._model(act).request(messages, settings, parameters)
            await abook(act, _counted(response.usage), **_outcome(response.provider_response_id, begun_at))
            return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        async with await self._admit(messages, model_settings, model_request_parameters, stream=True) as act:
            begun_at = time.perf_counter()
            settings, parameters = self._applied(act, model_settings, model_request_parameters)
            async with self._model(act).request_stream(messages, settings, parameters, run_context) as stream:
                try:
                    yield stream
                finally:
                    # Who turns away in the middle pays for what the provider had counted by then.
                    await abook(act, _counted(stream.usage), **_outcome(stream.provider_response_id, begun_at))

    async def _admit(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        *,
        stream: bool,
    ) -> AsyncAct:
        return await self._client.admit(
            action=model_action(self._asked_as),
            subject=self._subject,
            run=self._run,
            request=model_request(
                model=self._asked_as,
                prompt=_prompt(messages),
                tools=[tool.name for tool in parameters.function_tools],
                max_tokens=(merge_model_settings(self.wrapped.settings, settings) or {}).get("max_tokens"),
                stream=stream,
            ),
        )

    def _model(self, act: Admitted) -> Model:
        if act.route is None or str(act.route) == self._asked_as:
            return self.wrapped
        return infer_model(self._models(str(act.route)))

    def _applied(
        self, act: Admitted, settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """The settings within the caps, and the parameters without the denied tools."""
        merged = merge_model_settings(self.wrapped.settings, settings) or {}
        applied: ModelSettings = {**(settings or {})}
        if (max_tokens := act.caps.trim(merged.get("max_tokens"))) is not None:
            applied["max_tokens"] = max_tokens
        tools = [tool for tool in parameters.function_tools if act.caps.permits_tool(tool.name)]
        if isinstance(choice := merged.get("tool_choice"), list):
            # A choice that names a tool which is not there is an error at the provider.
            left = [name for name in choice if act.caps.permits_tool(name)]
            applied["tool_choice"] = left or None
        return applied, replace(parameters, function_tools=tools)


class Enforcement(AbstractCapability[Any]):
    """Enforces budgets, routes, caps and tool policy in an agent. Each run of the agent is one run."""

    def __init__(
        self,
        client: AsyncWatermaster,
        *,
        model: str | None = None,
        models: Callable[[str], Model | str] = infer_model,
        subject: Subject | None = None,
    ) -> None:
        """See `WatermasterModel`."""
        self._client = client
        self._asked_as = model
        self._models = models
        self._subject: Subject = subject or {}
        self._run: Run | None = None

    async def for_run(self, ctx: RunContext[Any]) -> "Enforcement":
        own = Enforcement(self._client, model=self._asked_as, models=self._models, subject=self._subject)
        own._run = {"run_id": ctx.run_id} if ctx.run_id else None
        return own

    def get_wrapper_model(self, model: Model) -> Model:
        return WatermasterModel(
            model, self._client, model=self._asked_as, models=self._models, subject=self._subject, run=self._run
        )

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        try:
            act = await self._client.admit(action=tool_action(call.tool_name), subject=self._subject, run=self._run)
        except Denied as denied:
            return refusal(call.tool_name, denied)
        async with act:
            result = await handler(args)
            await abook_tool(act)
        return result


def _prompt(messages: list[ModelMessage]) -> Iterator[str]:
    """The texts that a request is made of: instructions, words, and what tools were asked and said."""
    for message in messages:
        yield getattr(message, "instructions", None) or ""
        for part in message.parts:
            yield from (as_text(value) for name in ("content", "args") if (value := getattr(part, name, None)))


def _counted(usage: RequestUsage) -> Mapping[str, Any] | None:
    """The framework's count, whose totals contain their parts; None where the provider said nothing."""
    if usage.unmeasured_requests or not usage.input_tokens + usage.output_tokens:
        return None
    return responses_usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        reasoning_tokens=usage.output_reasoning_tokens,
    )


def _outcome(response_id: str | None, begun_at: float) -> Outcome:
    outcome: Outcome = {"latency_ms": round((time.perf_counter() - begun_at) * 1000)}
    if response_id:
        outcome["response_id"] = response_id
    return outcome

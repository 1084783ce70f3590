"""Watermaster in the OpenAI Agents SDK: a model provider for the run, and guardrails for the tools.

`Runner.run(agent, "...", run_config=RunConfig(model_provider=WatermasterProvider(wm)))` admits every model call, sends
it to the model of the route with the caps applied and the denied tools left out, and settles it with its usage.
`Agent(..., tools=guard_tools(wm, tools))` admits every call of a function tool at dispatch.
"""

import copy
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from agents import (
    AgentOutputSchemaBase,
    FunctionTool,
    Handoff,
    Model,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    MultiProvider,
    Tool,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
    Usage,
    get_current_trace,
)
from agents.items import TResponseInputItem, TResponseStreamEvent
from openai.types.responses import ResponseCompletedEvent, ResponseFailedEvent, ResponseIncompleteEvent

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
from watermaster_client.usage import raw_usage, responses_usage
from watermaster_client.wire import Run, Subject

_ENDS: Final = (ResponseCompletedEvent, ResponseIncompleteEvent, ResponseFailedEvent)


def name_of(model: str | None) -> str | None:
    """Watermaster's name for a model of the SDK: `gpt-4o` is OpenAI's, `litellm/anthropic/x` is `anthropic:x`."""
    if model is None:
        return None
    provider, _, name = model.rpartition("/")
    return f"{provider.rpartition('/')[2] or 'openai'}:{name}"


def trace_run() -> Run | None:
    """A run of the SDK is its trace; None where tracing is off."""
    trace = get_current_trace()
    return {"run_id": trace.trace_id} if trace is not None and trace.trace_id.startswith("trace_") else None


class WatermasterProvider(ModelProvider):
    """Gives every model of another provider under Watermaster's control."""

    def __init__(
        self,
        client: AsyncWatermaster,
        *,
        provider: ModelProvider | None = None,
        models: Callable[[str], str] | None = None,
        class_chooses: bool = False,
        subject: Subject | None = None,
        run: Callable[[], Run | None] = trace_run,
    ) -> None:
        """`models` gives the SDK's name for the model of a route such as `openai:gpt-4o`.

        With `class_chooses` the agents' own choice of a model is not sent, and the traffic class chooses.
        """
        self.client = client
        self.provider = provider or MultiProvider()
        self.sdk_name = models or _sdk_name
        self.class_chooses = class_chooses
        self.subject: Subject = subject or {}
        self.run = run

    def get_model(self, model_name: str | None) -> Model:
        return WatermasterModel(self, model_name)

    async def aclose(self) -> None:
        await self.provider.aclose()


def _sdk_name(route: str) -> str:
    provider, _, model = route.partition(":")
    return model if provider == "openai" else f"litellm/{provider}/{model}"


class WatermasterModel(Model):
    """One model of the agents' choice; the calls go where the routes say."""

    def __init__(self, provider: WatermasterProvider, name: str | None) -> None:
        self._provider = provider
        self._name = name
        self._asked_as = None if provider.class_chooses else name_of(name)

    async def get_response(  # noqa: PLR0917 - the SDK's signature
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        **rest: Any,
    ) -> ModelResponse:
        async with await self._admit(system_instructions, input, model_settings, tools, stream=False) as act:
            begun_at = time.perf_counter()
            settings, shown = _applied(act, model_settings, tools)
            response = await self._model(act).get_response(
                system_instructions, input, settings, shown, output_schema, handoffs, tracing, **rest
            )
            usage = response.raw_usage or _counted(response.usage)
            whole = None if usage is None else raw_usage({"usage": usage, "output": response.output})
            await abook(act, whole, **_outcome(response.response_id, begun_at))
            return response

    async def stream_response(  # noqa: PLR0917 - the SDK's signature
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        **rest: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        async with await self._admit(system_instructions, input, model_settings, tools, stream=True) as act:
            begun_at = time.perf_counter()
            settings, shown = _applied(act, model_settings, tools)
            async for event in self._model(act).stream_response(
                system_instructions, input, settings, shown, output_schema, handoffs, tracing, **rest
            ):
                # The first word costs money: who turns away now leaves the hold to end by itself.
                act.leave_unsettled()
                if isinstance(event, _ENDS) and event.response.usage is not None:
                    await abook(act, raw_usage(event.response), **_outcome(event.response.id, begun_at))
                yield event

    async def _admit(
        self,
        instructions: str | None,
        prompt: str | list[TResponseInputItem],
        settings: ModelSettings,
        tools: list[Tool],
        *,
        stream: bool,
    ) -> AsyncAct:
        return await self._provider.client.admit(
            action=model_action(self._asked_as),
            subject=self._provider.subject,
            request=model_request(
                model=self._asked_as,
                prompt=(instructions or "", as_text(prompt)),
                tools=[tool.name for tool in tools],
                max_tokens=settings.max_tokens,
                stream=stream,
            ),
            run=self._provider.run(),
        )

    def _model(self, act: Admitted) -> Model:
        route = str(act.route) if act.route is not None else self._asked_as
        is_own = route is None or route == self._asked_as
        return self._provider.provider.get_model(self._name if is_own else self._provider.sdk_name(str(route)))


def _applied(act: Admitted, settings: ModelSettings, tools: list[Tool]) -> tuple[ModelSettings, list[Tool]]:
    """The settings within the caps, and the tools without the denied ones."""
    shown = [tool for tool in tools if act.caps.permits_tool(tool.name)]
    gone = {tool.name for tool in tools} - {tool.name for tool in shown}
    # A choice that names a tool which is not there is an error at the provider.
    choice = "auto" if isinstance(settings.tool_choice, str) and settings.tool_choice in gone else None
    return settings.resolve(ModelSettings(max_tokens=act.caps.trim(settings.max_tokens), tool_choice=choice)), shown


def _counted(usage: Usage) -> Mapping[str, Any] | None:
    """The SDK's own count, which has OpenAI's shape; None where the provider said nothing."""
    if not usage.total_tokens:
        return None
    into, out = usage.input_tokens_details, usage.output_tokens_details
    return responses_usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=into.cached_tokens,
        cache_write_tokens=getattr(into, "cache_write_tokens", 0) or 0,
        reasoning_tokens=out.reasoning_tokens,
    )


def _outcome(response_id: str | None, begun_at: float) -> Outcome:
    outcome: Outcome = {"latency_ms": round((time.perf_counter() - begun_at) * 1000)}
    if response_id:
        outcome["response_id"] = response_id
    return outcome


def guard_tools(
    client: AsyncWatermaster,
    tools: Sequence[Tool],
    *,
    subject: Subject | None = None,
    run: Callable[[], Run | None] = trace_run,
) -> list[Tool]:
    """Copies of the function tools that are admitted at dispatch; the model is told of a refusal.

    The price of a call is booked as it begins. Tools that run at the provider are admitted with the model call.
    """

    async def dispatch(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        name, current = data.context.tool_name, run()
        # The SDK may look at a call twice, before a person approves it and after: one call has one key.
        key = (
            hashlib.sha256(f"{current['run_id']}/{data.context.tool_call_id}".encode()).hexdigest() if current else None
        )
        try:
            act = await client.admit(action=tool_action(name), subject=subject, run=current, idempotency_key=key)
        except Denied as denied:
            return ToolGuardrailFunctionOutput.reject_content(refusal(name, denied))
        async with act:
            await abook_tool(act)
        return ToolGuardrailFunctionOutput.allow()

    guardrail: ToolInputGuardrail[Any] = ToolInputGuardrail(guardrail_function=dispatch, name="watermaster")
    return [_guarded(tool, guardrail) for tool in tools]


def _guarded(tool: Tool, guardrail: ToolInputGuardrail[Any]) -> Tool:
    if not isinstance(tool, FunctionTool):
        return tool
    guarded = copy.copy(tool)
    guarded.tool_input_guardrails = [*(tool.tool_input_guardrails or []), guardrail]
    return guarded

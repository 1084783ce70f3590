"""Watermaster in LangChain 1.x and LangGraph agents: `create_agent(..., middleware=[WatermasterMiddleware(wm)])`.

Every model call is admitted, sent to the model of the route with the caps applied and the denied tools left out, and
settled with the provider's usage. Every tool call is admitted at dispatch; the model is told of a refusal.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Annotated, Any, Final, NotRequired, TypedDict
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr, ToolCallRequest
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.runtime import Runtime
from langgraph.types import Command

from watermaster_client.act import Admitted, Outcome
from watermaster_client.aio import AsyncWatermaster
from watermaster_client.client import Watermaster
from watermaster_client.errors import Denied
from watermaster_client.integrations.common import (
    abook,
    abook_tool,
    as_text,
    book,
    book_tool,
    model_action,
    model_request,
    refusal,
    tool_action,
)
from watermaster_client.integrations.langchain_usage import answer_of, usage_of
from watermaster_client.wire import Action, Request, Run, Subject

#: Providers that LangChain calls by another name than the price book.
_LANGCHAIN_NAMES: Final = {
    "aws": "bedrock_converse",
    "azure": "azure_openai",
    "google": "google_genai",
    "mistral": "mistralai",
    "x-ai": "xai",
}


@cache
def by_name(route: str) -> BaseChatModel:
    """The chat model of a route such as `openai:gpt-4o-mini`, as `init_chat_model` makes it; made once."""
    provider, _, model = route.partition(":")
    return init_chat_model(model, model_provider=_LANGCHAIN_NAMES.get(provider, provider))


class _Asked(TypedDict):
    action: Action
    subject: Subject
    run: Run
    request: NotRequired[Request]


class RunState(AgentState[Any]):
    """An agent's state with the run that its calls count for, out of sight of its callers."""

    watermaster_run_id: NotRequired[Annotated[str, PrivateStateAttr]]


class WatermasterMiddleware(AgentMiddleware[RunState, Any, Any]):
    """Enforces budgets, routes, caps and tool policy in one agent. Each invocation of the agent is one run."""

    state_schema = RunState

    def __init__(
        self,
        client: Watermaster | None = None,
        *,
        async_client: AsyncWatermaster | None = None,
        model: str | None = None,
        models: Mapping[str, BaseChatModel] | Callable[[str], BaseChatModel] = by_name,
        subject: Subject | None = None,
        on_deny: Callable[[Denied], str] | None = None,
        new_run_id: Callable[[], str] = lambda: uuid4().hex,
        max_tokens_setting: str = "max_tokens",
    ) -> None:
        """`client` serves `invoke` and `stream`, `async_client` serves `ainvoke` and `astream`.

        `model` names the agent's own model, `provider:model`; without it the traffic class chooses. `models` gives the
        chat model of a route by the same kind of name. `on_deny` makes the agent's last words of a refused model call;
        without it `Denied` is raised. `max_tokens_setting` is what the models call the bound on their output.
        """
        super().__init__()
        self._client = client
        self._async_client = async_client
        self._model = model
        self._models = models
        self._subject: Subject = subject or {}
        self._on_deny = on_deny
        self._new_run_id = new_run_id
        self._max_tokens_setting = max_tokens_setting

    def before_agent(self, state: RunState, runtime: Runtime[Any]) -> dict[str, Any]:
        return {"watermaster_run_id": self._new_run_id()}

    async def abefore_agent(self, state: RunState, runtime: Runtime[Any]) -> dict[str, Any]:
        return {"watermaster_run_id": self._new_run_id()}

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | AIMessage:
        try:
            act = self._blocking().admit(**self._about_model(request))
        except Denied as denied:
            return self._last_words(denied)
        with act:
            begun_at = time.perf_counter()
            response = handler(self._applied(request, act))
            book(act, usage_of(response), **_outcome(response, begun_at))
        return response

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | AIMessage:
        try:
            act = await self._awaiting().admit(**self._about_model(request))
        except Denied as denied:
            return self._last_words(denied)
        async with act:
            begun_at = time.perf_counter()
            response = await handler(self._applied(request, act))
            await abook(act, usage_of(response), **_outcome(response, begun_at))
        return response

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        name = request.tool_call["name"]
        try:
            act = self._blocking().admit(**self._about(tool_action(name), request.state))
        except Denied as denied:
            return _refused(request, denied)
        with act:
            result = handler(request)
            book_tool(act)
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        name = request.tool_call["name"]
        try:
            act = await self._awaiting().admit(**self._about(tool_action(name), request.state))
        except Denied as denied:
            return _refused(request, denied)
        async with act:
            result = await handler(request)
            await abook_tool(act)
        return result

    def _blocking(self) -> Watermaster:
        if self._client is None:
            raise TypeError("This agent is invoked synchronously: give WatermasterMiddleware a Watermaster.")
        return self._client

    def _awaiting(self) -> AsyncWatermaster:
        if self._async_client is None:
            raise TypeError("This agent is invoked asynchronously: give WatermasterMiddleware an async_client.")
        return self._async_client

    def _about(self, action: Action, state: Mapping[str, Any]) -> _Asked:
        return {"action": action, "subject": self._subject, "run": {"run_id": state["watermaster_run_id"]}}

    def _about_model(self, request: ModelRequest[Any]) -> _Asked:
        messages: list[BaseMessage] = [*request.messages]
        if request.system_message is not None:
            messages.append(request.system_message)
        asked = self._about(model_action(self._model), request.state)
        asked["request"] = model_request(
            model=self._model,
            prompt=(as_text(message.content) for message in messages),
            tools=[name for tool in request.tools if (name := _name(tool))],
            max_tokens=request.model_settings.get(self._max_tokens_setting),
        )
        return asked

    def _applied(self, request: ModelRequest[Any], act: Admitted) -> ModelRequest[Any]:
        """The request on the route's model, within the caps, without the denied tools."""
        tools = [tool for tool in request.tools if act.caps.permits_tool(_name(tool))]
        settings = dict(request.model_settings)
        if (max_tokens := act.caps.trim(settings.get(self._max_tokens_setting))) is not None:
            settings[self._max_tokens_setting] = max_tokens
        # A choice that names a tool which is not there is an error at the provider.
        names = {_name(tool) for tool in tools}
        named = _chosen(request.tool_choice)
        choice = request.tool_choice if named is None or named in names else None
        route = str(act.route) if act.route is not None else self._model
        model = request.model if route == self._model or route is None else self._model_of(route)
        return request.override(model=model, tools=tools, tool_choice=choice, model_settings=settings)

    def _model_of(self, route: str) -> BaseChatModel:
        if callable(self._models):
            return self._models(route)
        if route not in self._models:
            raise LookupError(f"The route is {route}, and `models` has no model of that name.")
        return self._models[route]

    def _last_words(self, denied: Denied) -> AIMessage:
        if self._on_deny is None:
            raise denied
        return AIMessage(self._on_deny(denied))


def _name(tool: BaseTool | dict[str, Any]) -> str:
    """A tool of the agent, or one that runs at the provider and is a dictionary."""
    if isinstance(tool, BaseTool):
        return tool.name
    return str(tool.get("name") or tool.get("function", {}).get("name") or tool.get("type", ""))


def _chosen(tool_choice: Any) -> str | None:
    """The tool that a choice names; None where it names none, as `auto` and `any` do."""
    if isinstance(tool_choice, dict):
        name: str | None = tool_choice.get("name") or tool_choice.get("function", {}).get("name")
        return name
    return None if tool_choice in (None, "auto", "any", "none", "required") else str(tool_choice)


def _refused(request: ToolCallRequest, denied: Denied) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(refusal(call["name"], denied), tool_call_id=call["id"] or "", name=call["name"], status="error")


def _outcome(response: ModelResponse[Any], begun_at: float) -> Outcome:
    outcome: Outcome = {"latency_ms": round((time.perf_counter() - begun_at) * 1000)}
    answer = answer_of(response)
    if answer is not None and isinstance(response_id := answer.response_metadata.get("id"), str):
        outcome["response_id"] = response_id
    return outcome

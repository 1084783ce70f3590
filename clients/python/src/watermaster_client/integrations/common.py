"""What every framework's middleware does in the same way."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, Unpack

from watermaster_client.act import Outcome
from watermaster_client.aio import AsyncAct
from watermaster_client.client import Act
from watermaster_client.errors import Denied, WatermasterError
from watermaster_client.wire import Action, Request

logger = logging.getLogger(__name__)

#: Bytes a token where nobody counted: on the safe side for text in Latin letters.
_BYTES_A_TOKEN: Final = 3


def model_action(model: str | None) -> Action:
    """A model call; without a name the traffic class chooses the model."""
    return {"kind": "llm.completion", "name": model or "routed"}


def tool_action(tool: str) -> Action:
    return {"kind": "tool.call", "name": tool}


def model_request(
    *, model: str | None, prompt: Iterable[str], tools: list[str], max_tokens: int | None, stream: bool = False
) -> Request:
    """The question about a model call whose prompt is these texts."""
    size = sum(len(text.encode(errors="replace")) for text in prompt)
    request: Request = {"input_tokens": -(-size // _BYTES_A_TOKEN), "input_tokens_source": "bytes", "tools": tools}
    if model is not None:
        request["model"] = model
    if max_tokens is not None:
        request["max_output_tokens"] = max_tokens
    if stream:
        request["stream"] = True
    return request


def as_text(content: object) -> str:
    """Any part of a prompt as text of about its size."""
    return content if isinstance(content, str) else json.dumps(content, default=str, ensure_ascii=False)


def refusal(tool: str, denied: Denied) -> str:
    """What the model is told in place of the tool's result."""
    if "TOOL_GATED" in denied.codes:
        return f"The tool {tool} was not called: it needs a person's approval first."
    return f"The tool {tool} was not called: {denied}"


def book(act: Act, usage: Mapping[str, Any] | None, **outcome: Unpack[Outcome]) -> None:
    """Settle without ever taking the answer away from the agent: a settle that fails is kept and logged."""
    if usage is None:
        _unknown(act)
        return
    try:
        act.settle(usage, **outcome)
    except WatermasterError:
        logger.exception("The call %s is not settled.", act.decision_id)


async def abook(act: AsyncAct, usage: Mapping[str, Any] | None, **outcome: Unpack[Outcome]) -> None:
    """As `book`."""
    if usage is None:
        _unknown(act)
        return
    try:
        await act.settle(usage, **outcome)
    except WatermasterError:
        logger.exception("The call %s is not settled.", act.decision_id)


def book_tool(act: Act) -> None:
    """The price of a tool is what its admission holds. Nothing is raised, as in `book`."""
    try:
        act.commit()
    except WatermasterError:
        logger.exception("The call %s is not settled.", act.decision_id)


async def abook_tool(act: AsyncAct) -> None:
    """As `book_tool`."""
    try:
        await act.commit()
    except WatermasterError:
        logger.exception("The call %s is not settled.", act.decision_id)


def _unknown(act: Act | AsyncAct) -> None:
    logger.warning("The model said nothing of its usage: the call %s is not settled.", act.decision_id)
    act.leave_unsettled()

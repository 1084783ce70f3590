"""A runtime's tool schemas without the tools that its tenant may not use: absent, so that the model never sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class NamelessTool(Exception):
    """A schema names no tool. The first argument is its place, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`choice` is None where none was sent or where what it named is gone and nothing else is to be chosen."""

    tools: Sequence[Mapping[str, Any]]
    choice: str | Mapping[str, Any] | None
    gated: Sequence[str]


def tool_names(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The name of each schema: OpenAI's in `function`, Anthropic's and the Responses API's in `name`.

    A tool that the provider runs and that has no name is known by its type. Raises `NamelessTool`.
    """
    return [_name(tool, place) for place, tool in enumerate(tools)]


def offer(
    tools: Sequence[Mapping[str, Any]], verdicts: Sequence[str], *, choice: str | Mapping[str, Any] | None
) -> Offer:
    """What may be offered to the model, given a verdict for each tool.

    A choice that names a removed tool becomes `auto`, in the sender's form, and nothing where no tool is left.
    """
    names = tool_names(tools)
    kept = [tool for tool, verdict in zip(tools, verdicts, strict=True) if verdict != "deny"]
    removed = {name for name, verdict in zip(names, verdicts, strict=True) if verdict == "deny"}
    return Offer(
        tools=kept,
        choice=_mended(choice, removed=removed, left=len(kept)),
        gated=[name for name, verdict in zip(names, verdicts, strict=True) if verdict == "gated"],
    )


def _name(tool: Mapping[str, Any], place: int) -> str:
    function = tool.get("function")
    named = function.get("name") if isinstance(function, Mapping) else tool.get("name", tool.get("type"))
    if not isinstance(named, str) or not named:
        raise NamelessTool(place)
    return named


def _mended(choice: str | Mapping[str, Any] | None, *, removed: set[str], left: int) -> str | Mapping[str, Any] | None:
    if choice is None or not left:
        return None
    if isinstance(choice, str):
        return choice
    allowed = choice.get("allowed_tools")
    if isinstance(allowed, Mapping) and isinstance(allowed.get("tools"), list):
        tools = [tool for tool in allowed["tools"] if not isinstance(tool, Mapping) or _chosen(tool) not in removed]
        return dict(choice) | {"allowed_tools": dict(allowed) | {"tools": tools}} if tools else "auto"
    if choice.get("type") == "allowed_tools" and isinstance(choice.get("tools"), list):
        # The Responses API names them beside the type.
        tools = [tool for tool in choice["tools"] if not isinstance(tool, Mapping) or _chosen(tool) not in removed]
        return dict(choice) | {"tools": tools} if tools else "auto"
    if _chosen(choice) not in removed:
        return choice
    # Anthropic says it with an object, OpenAI with a word.
    return {"type": "auto"} if choice.get("type") == "tool" else "auto"


def _chosen(choice: Mapping[str, Any]) -> Any:
    function = choice.get("function")
    return function.get("name") if isinstance(function, Mapping) else choice.get("name", choice.get("type"))

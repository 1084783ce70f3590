"""From a provider's raw answer, or its usage alone, to `Usage`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from routing.pricing import anthropic_usage, gemini_usage, openai_usage
from routing.pricing.kinds import Mode
from routing.pricing.usage import TOKENS_MAX, Usage, UsageInvalid


class Endpoint(StrEnum):
    """The API whose words a payload is in; many providers speak OpenAI's."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    EMBEDDINGS = "embeddings"
    GENERATE_CONTENT = "generate_content"


_PARSERS: Final[dict[Endpoint, Callable[[Mapping[str, Any]], Usage]]] = {
    Endpoint.CHAT_COMPLETIONS: openai_usage.chat_completions,
    Endpoint.RESPONSES: openai_usage.responses,
    Endpoint.MESSAGES: anthropic_usage.messages,
    Endpoint.EMBEDDINGS: openai_usage.embeddings,
    Endpoint.GENERATE_CONTENT: gemini_usage.generate_content,
}
_BLOCKS: Final = ("usage", "usageMetadata", "usage_metadata")


def parse_usage(endpoint: Endpoint, payload: Mapping[str, Any], *, mode: Mode | None = None) -> Usage:
    """The usage in `payload`: a whole answer, or only the part of it that holds the usage.

    `mode` is what the caller knows and a payload may not say, such as that the call went by batch.
    Raises `UsageMissing` when there is none, and `UsageInvalid` when it cannot be true.
    """
    usage = _PARSERS[endpoint](_whole(endpoint, payload))
    if usage.total_tokens > TOKENS_MAX:
        raise UsageInvalid("usage", f"must have at most {TOKENS_MAX} tokens together")
    return usage if mode is None else replace(usage, mode=mode)


def _whole(endpoint: Endpoint, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(name in payload for name in _BLOCKS):
        return payload
    return {"usageMetadata" if endpoint == Endpoint.GENERATE_CONTENT else "usage": payload}

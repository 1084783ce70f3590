"""Where LangChain keeps what a model call used."""

from collections.abc import Mapping
from typing import Any

from langchain.agents.middleware import ModelResponse
from langchain_core.messages import AIMessage

from watermaster_client.usage import responses_usage


def answer_of(response: ModelResponse[Any]) -> AIMessage | None:
    """The model's message among what a model call gave; a structured answer has others beside it."""
    return next((message for message in response.result if isinstance(message, AIMessage)), None)


def usage_of(response: ModelResponse[Any]) -> Mapping[str, Any] | None:
    """The provider's own usage where LangChain keeps it, else LangChain's count; None where there is neither."""
    answer = answer_of(response)
    if answer is None:
        return None
    if raw := _raw(answer):
        return raw
    counted = answer.usage_metadata
    if counted is None:
        return None
    into, out = counted.get("input_token_details", {}), counted.get("output_token_details", {})
    return responses_usage(
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
        cached_tokens=into.get("cache_read", 0),
        cache_write_tokens=into.get("cache_creation", 0),
        input_audio_tokens=into.get("audio", 0),
        output_audio_tokens=out.get("audio", 0),
        reasoning_tokens=out.get("reasoning", 0),
    )


def _raw(answer: AIMessage) -> Mapping[str, Any] | None:
    """Chat completions leave theirs under `token_usage`, Anthropic's messages under `usage`; a stream leaves none."""
    for place, sign in (("token_usage", "completion_tokens"), ("usage", "cache_read_input_tokens")):
        usage = answer.response_metadata.get(place)
        if isinstance(usage, dict) and sign in usage:
            return usage
    return None

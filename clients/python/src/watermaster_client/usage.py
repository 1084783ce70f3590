"""Usage as the provider gave it, taken out of whatever object its SDK wraps it in."""

import dataclasses
from collections.abc import Mapping
from typing import Any


def raw_usage(given: object) -> dict[str, Any]:
    """The usage as JSON data: from a response that has `.usage`, the SDK's usage object, or a mapping.

    Names and numbers stay as the provider's; the server knows each provider's shape. Of a whole response what else has
    a price goes along: model, service tier, id, and which tools the provider ran. No word of its content does.
    Raises TypeError.
    """
    for name in ("usage", "usage_metadata"):
        inner = _get(given, name)
        if inner is not None and not callable(inner):
            return {name: _plain(inner)} | _beside(given)
    return _plain(given)


def _beside(response: object) -> dict[str, Any]:
    beside: dict[str, Any] = {
        name: value for name in ("id", "model", "service_tier") if isinstance(value := _get(response, name), str)
    }
    items = _get(response, "output")
    types = [str(_get(item, "type")) for item in items] if isinstance(items, list | tuple) else []
    # What the runtime itself has to call costs nothing at the provider.
    if hosted := [{"type": kind} for kind in types if kind.endswith("_call") and kind != "function_call"]:
        beside["output"] = hosted
    return beside


def _get(given: object, name: str) -> Any:
    return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)


def _plain(given: object) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    dump = getattr(given, "model_dump", None)
    if callable(dump):
        return dict(dump(mode="json", exclude_none=True))
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return dataclasses.asdict(given)
    raise TypeError(f"No usage is found in an object of type {type(given).__name__}: pass the provider's usage itself.")


def responses_usage(
    *,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    input_audio_tokens: int = 0,
    output_audio_tokens: int = 0,
    reasoning_tokens: int = 0,
) -> dict[str, Any]:
    """The shape of OpenAI's Responses API, for frameworks that count alike: the totals contain their parts."""
    into = {
        "cached_tokens": cached_tokens,
        "cache_write_tokens": cache_write_tokens,
        "audio_tokens": input_audio_tokens,
    }
    out = {"reasoning_tokens": reasoning_tokens, "audio_tokens": output_audio_tokens}
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_tokens_details": {name: count for name, count in into.items() if count},
        "output_tokens_details": {name: count for name, count in out.items() if count},
    }

"""Usage as Anthropic's Messages API reports it: `input_tokens` are those that neither hit nor fill the cache."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from routing.pricing import reading
from routing.pricing.kinds import Kind, Mode
from routing.pricing.usage import Usage, UsageInvalid, UsageMissing

_MODES: Final = {"batch": Mode.BATCH, "priority": Mode.PRIORITY}
_HOSTED: Final = {"web_search_requests": "web_search", "web_fetch_requests": "web_fetch"}
#: Fetching pages costs their tokens and nothing else.
_FREE_TOOLS: Final = frozenset({"web_fetch"})


def messages(payload: Mapping[str, Any]) -> Usage:
    usage = reading.block(payload, "usage")
    if usage is None:
        raise UsageMissing("usage")
    output = reading.required(usage, "output_tokens", path="usage")
    details = reading.block(usage, "output_tokens_details", path="usage")
    thought = reading.part(
        output,
        reading.count(details, "thinking_tokens", path="usage.output_tokens_details"),
        path="usage.output_tokens_details.thinking_tokens",
    )
    short, long = _cache_writes(usage)
    tokens = {
        Kind.INPUT: reading.required(usage, "input_tokens", path="usage"),
        Kind.CACHED_INPUT: reading.count(usage, "cache_read_input_tokens", path="usage") or 0,
        Kind.CACHE_WRITE: short,
        Kind.CACHE_WRITE_1H: long,
        Kind.OUTPUT: output - thought,
        Kind.REASONING: thought,
    }
    hosted = reading.block(usage, "server_tool_use", path="usage")
    fees = {
        tool: reading.calls(hosted, name, path="usage.server_tool_use")
        for name, tool in _HOSTED.items()
        if tool not in _FREE_TOOLS
    }
    parts = [part for part in reading.entries(payload, "content") if reading.text(part, "type") == "tool_use"]
    return Usage(
        tokens={kind: count for kind, count in tokens.items() if count},
        mode=_mode(usage),
        hosted_tools={tool: count for tool, count in fees.items() if count},
        function_calls=dict(Counter(name for part in parts if (name := reading.text(part, "name")))),
        model=reading.text(payload, "model"),
        response_id=reading.text(payload, "id"),
    )


def _cache_writes(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens written for five minutes and for an hour; older answers give the sum alone, which is for five minutes."""
    total = reading.count(usage, "cache_creation_input_tokens", path="usage")
    parts = reading.block(usage, "cache_creation", path="usage")
    short = reading.count(parts, "ephemeral_5m_input_tokens", path="usage.cache_creation")
    long = reading.count(parts, "ephemeral_1h_input_tokens", path="usage.cache_creation") or 0
    if total is None:
        return short or 0, long
    if (short or 0) + long > total:
        raise UsageInvalid("usage.cache_creation", "is more than the whole that it is a part of")
    return total - long, long


def _mode(usage: Mapping[str, Any]) -> Mode:
    if reading.text(usage, "speed") == "fast":
        return Mode.FAST
    return _MODES.get(reading.text(usage, "service_tier"), Mode.STANDARD)

"""Usage as OpenAI's APIs report it, and the many that speak like them: chat completions, responses, embeddings."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from routing.pricing import reading
from routing.pricing.kinds import Kind, Mode
from routing.pricing.usage import Usage, UsageMissing

_MODES: Final = {"batch": Mode.BATCH, "flex": Mode.FLEX, "priority": Mode.PRIORITY, "fast": Mode.FAST}
#: What an item of a response is called when the provider ran a tool, and the fee's name.
_HOSTED: Final = {"web_search_call": "web_search", "file_search_call": "file_search"}


def chat_completions(payload: Mapping[str, Any]) -> Usage:
    usage = _usage(payload)
    prompt = reading.required(usage, "prompt_tokens", path="usage")
    completion = reading.required(usage, "completion_tokens", path="usage")
    into = reading.block(usage, "prompt_tokens_details", path="usage")
    out = reading.block(usage, "completion_tokens_details", path="usage")
    cached = reading.count(into, "cached_tokens", path="usage.prompt_tokens_details")
    if cached is None:
        # DeepSeek's name for it, beside the prompt.
        cached = reading.count(usage, "prompt_cache_hit_tokens", path="usage")
    reasoning = reading.count(out, "reasoning_tokens", path="usage.completion_tokens_details")
    total = reading.count(usage, "total_tokens", path="usage")
    if reasoning and total == prompt + completion + reasoning:
        # xAI counts reasoning beside the completion and not in it.
        completion += reasoning
    messages = [reading.block(choice, "message") or {} for choice in reading.entries(payload, "choices")]
    calls = [call for message in messages for call in reading.entries(message, "tool_calls")]
    functions = [reading.block(call, "function") or {} for call in calls]
    return Usage(
        tokens=_input(prompt, cached, into, "usage.prompt_tokens_details")
        | _output(completion, reasoning, out, "usage.completion_tokens_details"),
        mode=_mode(payload),
        function_calls=_counted(reading.text(function, "name") for function in functions),
        model=reading.text(payload, "model"),
        response_id=reading.text(payload, "id"),
    )


def responses(payload: Mapping[str, Any]) -> Usage:
    usage = _usage(payload)
    prompt = reading.required(usage, "input_tokens", path="usage")
    output = reading.required(usage, "output_tokens", path="usage")
    into = reading.block(usage, "input_tokens_details", path="usage")
    out = reading.block(usage, "output_tokens_details", path="usage")
    cached = reading.count(into, "cached_tokens", path="usage.input_tokens_details")
    reasoning = reading.count(out, "reasoning_tokens", path="usage.output_tokens_details")
    items = list(reading.entries(payload, "output"))
    return Usage(
        tokens=_input(prompt, cached, into, "usage.input_tokens_details")
        | _output(output, reasoning, out, "usage.output_tokens_details"),
        mode=_mode(payload),
        hosted_tools=_counted(_HOSTED.get(reading.text(item, "type"), "") for item in items),
        function_calls=_counted(
            reading.text(item, "name") for item in items if reading.text(item, "type") == "function_call"
        ),
        model=reading.text(payload, "model"),
        response_id=reading.text(payload, "id"),
    )


def embeddings(payload: Mapping[str, Any]) -> Usage:
    """Voyage and others give the total alone."""
    usage = _usage(payload)
    tokens = reading.required(usage, "prompt_tokens", "input_tokens", "total_tokens", path="usage")
    return Usage(
        tokens=_present({Kind.INPUT: tokens}),
        mode=_mode(payload),
        model=reading.text(payload, "model"),
        response_id=reading.text(payload, "id"),
    )


def _usage(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    usage = reading.block(payload, "usage")
    if usage is None:
        raise UsageMissing("usage")
    return usage


def _input(prompt: int, cached: int | None, details: Mapping[str, Any] | None, path: str) -> dict[Kind, int]:
    """The parts of the prompt. Cached audio is counted with the cached: the details do not tell them apart."""
    hits = reading.part(prompt, cached, path=f"{path}.cached_tokens")
    written = reading.part(
        prompt - hits, reading.count(details, "cache_write_tokens", path=path), path=f"{path}.cache_write_tokens"
    )
    fresh = prompt - hits - written
    audio = reading.part(prompt, reading.count(details, "audio_tokens", path=path), path=f"{path}.audio_tokens")
    audio = min(audio, fresh)
    image = reading.part(prompt, reading.count(details, "image_tokens", path=path), path=f"{path}.image_tokens")
    image = min(image, fresh - audio)
    return _present(
        {
            Kind.INPUT: fresh - audio - image,
            Kind.CACHED_INPUT: hits,
            Kind.CACHE_WRITE: written,
            Kind.INPUT_AUDIO: audio,
            Kind.INPUT_IMAGE: image,
        }
    )


def _output(output: int, reasoning: int | None, details: Mapping[str, Any] | None, path: str) -> dict[Kind, int]:
    thought = reading.part(output, reasoning, path=f"{path}.reasoning_tokens")
    audio = reading.part(
        output - thought, reading.count(details, "audio_tokens", path=path), path=f"{path}.audio_tokens"
    )
    image = reading.part(
        output - thought - audio, reading.count(details, "image_tokens", path=path), path=f"{path}.image_tokens"
    )
    return _present(
        {
            Kind.OUTPUT: output - thought - audio - image,
            Kind.REASONING: thought,
            Kind.OUTPUT_AUDIO: audio,
            Kind.OUTPUT_IMAGE: image,
        }
    )


def _mode(payload: Mapping[str, Any]) -> Mode:
    return _MODES.get(reading.text(payload, "service_tier"), Mode.STANDARD)


def _counted(names: Iterator[str]) -> dict[str, int]:
    return dict(Counter(name for name in names if name))


def _present(tokens: dict[Kind, int]) -> dict[Kind, int]:
    return {kind: count for kind, count in tokens.items() if count}

"""Usage as Gemini's `generateContent` reports it, in either spelling of its names.

The prompt's count holds the cached tokens; thoughts stand beside the candidates' count and not in it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from routing.pricing import reading
from routing.pricing.kinds import Kind, Mode
from routing.pricing.usage import Usage, UsageInvalid, UsageMissing

_MODES: Final = {"BATCH": Mode.BATCH, "FLEX": Mode.FLEX, "PRIORITY": Mode.PRIORITY}


def generate_content(payload: Mapping[str, Any]) -> Usage:
    usage = reading.block(payload, "usageMetadata", "usage_metadata")
    if usage is None:
        raise UsageMissing("usageMetadata")
    path = "usageMetadata"
    prompt = reading.required(usage, "promptTokenCount", "prompt_token_count", path=path)
    cached = reading.part(
        prompt,
        reading.count(usage, "cachedContentTokenCount", "cached_content_token_count", path=path),
        path=f"{path}.cachedContentTokenCount",
    )
    # A blocked or purely thinking answer has no candidates.
    output = reading.count(usage, "candidatesTokenCount", "candidates_token_count", path=path) or 0
    thought = reading.count(usage, "thoughtsTokenCount", "thoughts_token_count", path=path) or 0
    # What the provider's own tools read is charged as input.
    tool_input = reading.count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count", path=path) or 0
    audio = _of_modality(usage, "promptTokensDetails", "prompt_tokens_details", modality="AUDIO")
    cached_audio = _of_modality(usage, "cacheTokensDetails", "cache_tokens_details", modality="AUDIO")
    output_image = _of_modality(usage, "candidatesTokensDetails", "candidates_tokens_details", modality="IMAGE")
    output_audio = _of_modality(usage, "candidatesTokensDetails", "candidates_tokens_details", modality="AUDIO")
    if audio > prompt or cached_audio > min(cached, audio) or output_image + output_audio > output:
        raise UsageInvalid(f"{path}.promptTokensDetails", "is more than the whole that it is a part of")
    # Without details of the cache, the cached tokens are taken for text as far as there is any.
    fresh_audio = min(audio - cached_audio, prompt - cached)
    tokens = {
        Kind.INPUT: prompt - cached - fresh_audio + tool_input,
        Kind.CACHED_INPUT: cached - cached_audio,
        Kind.INPUT_AUDIO: fresh_audio,
        Kind.CACHED_AUDIO: cached_audio,
        Kind.OUTPUT: output - output_image - output_audio,
        Kind.REASONING: thought,
        Kind.OUTPUT_IMAGE: output_image,
        Kind.OUTPUT_AUDIO: output_audio,
    }
    return Usage(
        tokens={kind: count for kind, count in tokens.items() if count},
        mode=_MODES.get(reading.text(usage, "trafficType", "traffic_type", "serviceTier").upper(), Mode.STANDARD),
        hosted_tools=_searches(payload),
        function_calls=_function_calls(payload),
        model=reading.text(payload, "modelVersion", "model_version"),
        response_id=reading.text(payload, "responseId", "response_id"),
    )


def _of_modality(usage: Mapping[str, Any], *names: str, modality: str) -> int:
    total = 0
    for name in names:
        for entry in reading.entries(usage, name):
            if reading.text(entry, "modality") == modality:
                total += reading.count(entry, "tokenCount", "token_count", path=f"usageMetadata.{name}") or 0
    return total


def _searches(payload: Mapping[str, Any]) -> dict[str, int]:
    """A grounded answer is one search, however many queries it took."""
    grounded = sum(
        1
        for candidate in reading.entries(payload, "candidates")
        if (found := reading.block(candidate, "groundingMetadata", "grounding_metadata"))
        and (found.get("webSearchQueries") or found.get("web_search_queries"))
    )
    return {"web_search": grounded} if grounded else {}


def _function_calls(payload: Mapping[str, Any]) -> dict[str, int]:
    names: Counter[str] = Counter()
    for candidate in reading.entries(payload, "candidates"):
        for part in reading.entries(reading.block(candidate, "content") or {}, "parts"):
            call = reading.block(part, "functionCall", "function_call")
            if call is not None and (name := reading.text(call, "name")):
                names[name] += 1
    return dict(names)

"""Usage as providers report it: every token once, and nothing that cannot be true."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.pricing.kinds import Kind, Mode
from routing.pricing.parsing import Endpoint, parse_usage
from routing.pricing.usage import TOKENS_MAX, UsageInvalid, UsageMissing

CHAT: dict[str, Any] = {
    "id": "chatcmpl-CFoaC8KmpLyCgFfoCCDtVFkT8Bd8U",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "crm.find", "arguments": "{}"}},
                    {"id": "call_2", "type": "function", "function": {"name": "crm.find", "arguments": "{}"}},
                    {"id": "call_3", "type": "function", "function": {"name": "refund", "arguments": "{}"}},
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 192,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    },
}
RESPONSE: dict[str, Any] = {
    "id": "resp_67ccd2bed1ec8190b14f964abc054267",
    "object": "response",
    "model": "gpt-5-2025-08-07",
    "service_tier": "flex",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "web_search_call", "id": "ws_2", "status": "completed"},
        {"type": "function_call", "name": "get_weather", "arguments": "{}", "call_id": "call_1"},
        {"type": "message", "content": [{"type": "output_text", "text": "…"}]},
    ],
    "usage": {
        "input_tokens": 328,
        "input_tokens_details": {"cached_tokens": 128},
        "output_tokens": 1052,
        "output_tokens_details": {"reasoning_tokens": 1024},
        "total_tokens": 1380,
    },
}
MESSAGE: dict[str, Any] = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "text", "text": "…"},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
    ],
    "usage": {
        "input_tokens": 50,
        "cache_creation_input_tokens": 1200,
        "cache_read_input_tokens": 100_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 503,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3},
        "service_tier": "standard",
    },
}
EMBEDDING: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "embedding": [0.1], "index": 0}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
CONTENT: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {}}}]},
            "groundingMetadata": {"webSearchQueries": ["weather oslo", "weather norway"]},
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 3000,
        "cachedContentTokenCount": 1000,
        "candidatesTokenCount": 120,
        "thoughtsTokenCount": 800,
        "toolUsePromptTokenCount": 70,
        "totalTokenCount": 3990,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 2500},
            {"modality": "AUDIO", "tokenCount": 500},
        ],
    },
    "modelVersion": "gemini-2.5-pro",
    "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
}


def chat(**usage: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 100, "completion_tokens": 10} | usage}


class TestChatCompletions:
    def test_count_cached_and_reasoning_once(self) -> None:
        usage = parse_usage(Endpoint.CHAT_COMPLETIONS, CHAT)

        assert usage.tokens == {Kind.INPUT: 86, Kind.CACHED_INPUT: 1920, Kind.OUTPUT: 108, Kind.REASONING: 192}
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (2006, 300, 2306)

    def test_count_the_functions_that_were_asked_for(self) -> None:
        usage = parse_usage(Endpoint.CHAT_COMPLETIONS, CHAT)

        assert usage.function_calls == {"crm.find": 2, "refund": 1}
        assert usage.hosted_tools == {}

    def test_say_which_model_and_response(self) -> None:
        usage = parse_usage(Endpoint.CHAT_COMPLETIONS, CHAT)

        assert usage.model == "gpt-4o-mini-2024-07-18"
        assert usage.response_id == "chatcmpl-CFoaC8KmpLyCgFfoCCDtVFkT8Bd8U"

    def test_may_come_as_usage_alone(self) -> None:
        assert parse_usage(Endpoint.CHAT_COMPLETIONS, CHAT["usage"]).total_tokens == 2306

    def test_with_reasoning_beside_the_completion_add_it(self) -> None:
        details = {"reasoning_tokens": 40}
        payload = chat(total_tokens=150, completion_tokens_details=details)

        assert parse_usage(Endpoint.CHAT_COMPLETIONS, payload).tokens == {
            Kind.INPUT: 100,
            Kind.OUTPUT: 10,
            Kind.REASONING: 40,
        }

    def test_take_the_other_name_of_cached(self) -> None:
        payload = chat(prompt_cache_hit_tokens=60, prompt_cache_miss_tokens=40)

        assert parse_usage(Endpoint.CHAT_COMPLETIONS, payload).tokens[Kind.CACHED_INPUT] == 60

    def test_with_audio_charge_it_apart(self) -> None:
        payload = chat(
            prompt_tokens_details={"cached_tokens": 50, "audio_tokens": 80},
            completion_tokens_details={"audio_tokens": 7},
        )

        assert parse_usage(Endpoint.CHAT_COMPLETIONS, payload).tokens == {
            Kind.CACHED_INPUT: 50,
            Kind.INPUT_AUDIO: 50,
            Kind.OUTPUT: 3,
            Kind.OUTPUT_AUDIO: 7,
        }

    @pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}])
    def test_without_details_are_input_and_output(self, details: Any) -> None:
        payload = chat(prompt_tokens_details=details, completion_tokens_details=details)

        assert parse_usage(Endpoint.CHAT_COMPLETIONS, payload).tokens == {Kind.INPUT: 100, Kind.OUTPUT: 10}


class TestResponses:
    def test_count_searches_apart_from_functions(self) -> None:
        usage = parse_usage(Endpoint.RESPONSES, RESPONSE)

        assert usage.tokens == {Kind.INPUT: 200, Kind.CACHED_INPUT: 128, Kind.OUTPUT: 28, Kind.REASONING: 1024}
        assert usage.hosted_tools == {"web_search": 2}
        assert usage.function_calls == {"get_weather": 1}
        assert usage.mode == Mode.FLEX

    def test_went_by_batch_when_the_caller_says_so(self) -> None:
        assert parse_usage(Endpoint.RESPONSES, RESPONSE, mode=Mode.BATCH).mode == Mode.BATCH


class TestMessages:
    def test_add_the_cache_to_the_input(self) -> None:
        usage = parse_usage(Endpoint.MESSAGES, MESSAGE)

        assert usage.tokens == {
            Kind.INPUT: 50,
            Kind.CACHED_INPUT: 100_000,
            Kind.CACHE_WRITE: 200,
            Kind.CACHE_WRITE_1H: 1000,
            Kind.OUTPUT: 503,
        }
        assert usage.input_tokens == 101_250
        assert usage.hosted_tools == {"web_search": 2}
        assert usage.function_calls == {"get_weather": 1}

    def test_without_the_parts_were_written_for_five_minutes(self) -> None:
        payload = {"usage": {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 9}}

        assert parse_usage(Endpoint.MESSAGES, payload).tokens[Kind.CACHE_WRITE] == 9

    def test_of_a_batch_say_so(self) -> None:
        payload = {"usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "batch"}}

        assert parse_usage(Endpoint.MESSAGES, payload).mode == Mode.BATCH

    def test_with_more_written_for_an_hour_than_at_all_are_refused(self) -> None:
        usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 9}

        with pytest.raises(UsageInvalid, match="more than the whole"):
            parse_usage(Endpoint.MESSAGES, {"usage": usage | {"cache_creation": {"ephemeral_1h_input_tokens": 10}}})


class TestEmbeddings:
    def test_have_input_only(self) -> None:
        assert parse_usage(Endpoint.EMBEDDINGS, EMBEDDING).tokens == {Kind.INPUT: 8}

    def test_may_give_the_total_alone(self) -> None:
        assert parse_usage(Endpoint.EMBEDDINGS, {"usage": {"total_tokens": 5}}).tokens == {Kind.INPUT: 5}


class TestGenerateContent:
    def test_adds_thoughts_and_what_tools_read(self) -> None:
        usage = parse_usage(Endpoint.GENERATE_CONTENT, CONTENT)

        assert usage.tokens == {
            Kind.INPUT: 1570,
            Kind.CACHED_INPUT: 1000,
            Kind.INPUT_AUDIO: 500,
            Kind.OUTPUT: 120,
            Kind.REASONING: 800,
        }
        assert usage.total_tokens == CONTENT["usageMetadata"]["totalTokenCount"]
        assert usage.hosted_tools == {"web_search": 1}
        assert usage.function_calls == {"get_weather": 1}
        assert usage.model == "gemini-2.5-pro"

    def test_is_read_in_the_other_spelling(self) -> None:
        usage = {"prompt_token_count": 10, "candidates_token_count": 3, "thoughts_token_count": None}

        assert parse_usage(Endpoint.GENERATE_CONTENT, {"usage_metadata": usage}).total_tokens == 13

    def test_that_was_blocked_has_no_output(self) -> None:
        assert parse_usage(Endpoint.GENERATE_CONTENT, {"promptTokenCount": 10}).tokens == {Kind.INPUT: 10}


NAMES = sorted(
    {name for payload in (CHAT, RESPONSE, MESSAGE) for name in payload["usage"]} | {*CONTENT["usageMetadata"]}
)
NOT_COUNTS = [-1, TOKENS_MAX + 1, 2**63, 10**400, 1.0, 0.5, float("nan"), float("inf"), "5", "", True, [], {}]


class TestHostilePayload:
    @pytest.mark.parametrize("value", NOT_COUNTS, ids=str)
    @pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
    def test_with_what_is_no_count_is_refused(self, name: str, value: Any) -> None:
        with pytest.raises(UsageInvalid, match=f"usage.{name} must be"):
            parse_usage(Endpoint.CHAT_COMPLETIONS, chat(**{name: value}))

    @pytest.mark.parametrize(
        ("details", "path"),
        [
            ({"prompt_tokens_details": {"cached_tokens": 101}}, "cached_tokens"),
            ({"prompt_tokens_details": {"audio_tokens": 101}}, "audio_tokens"),
            ({"completion_tokens_details": {"reasoning_tokens": 11}}, "reasoning_tokens"),
            ({"prompt_tokens_details": {"cached_tokens": -1}}, "cached_tokens"),
            ({"prompt_tokens_details": [1]}, "prompt_tokens_details"),
            ({"completion_tokens_details": "none"}, "completion_tokens_details"),
        ],
    )
    def test_with_parts_that_do_not_fit_is_refused(self, details: dict[str, Any], path: str) -> None:
        with pytest.raises(UsageInvalid) as refusal:
            parse_usage(Endpoint.CHAT_COMPLETIONS, chat(**details))

        assert refusal.value.path.endswith(path)

    def test_may_have_exactly_the_whole_as_a_part(self) -> None:
        payload = chat(prompt_tokens_details={"cached_tokens": 100}, completion_tokens_details={"reasoning_tokens": 10})

        assert parse_usage(Endpoint.CHAT_COMPLETIONS, payload).tokens == {Kind.CACHED_INPUT: 100, Kind.REASONING: 10}

    @pytest.mark.parametrize("endpoint", list(Endpoint))
    @pytest.mark.parametrize("payload", [{}, {"usage": None}, {"usage": {}}, {"usageMetadata": {}}, {"error": "no"}])
    def test_without_usage_is_missing_and_never_free(self, endpoint: Endpoint, payload: dict[str, Any]) -> None:
        with pytest.raises(UsageMissing):
            parse_usage(endpoint, payload)

    @pytest.mark.parametrize("missing", ["prompt_tokens", "completion_tokens"])
    def test_with_half_of_the_usage_is_missing(self, missing: str) -> None:
        with pytest.raises(UsageMissing):
            parse_usage(Endpoint.CHAT_COMPLETIONS, chat(**{missing: None}))

    def test_of_too_many_tokens_together_is_refused(self) -> None:
        with pytest.raises(UsageInvalid, match="together"):
            parse_usage(Endpoint.CHAT_COMPLETIONS, chat(prompt_tokens=TOKENS_MAX, completion_tokens=1))

    @settings(max_examples=150, deadline=None)
    @given(
        endpoint=st.sampled_from(list(Endpoint)),
        usage=st.dictionaries(
            st.sampled_from(NAMES),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["cached_tokens", "tokenCount", "modality"]), inner, max_size=3)
                ),
                max_leaves=5,
            ),
        ),
    )
    def test_is_refused_by_name_or_counted(self, endpoint: Endpoint, usage: dict[str, Any]) -> None:
        try:
            counted = parse_usage(endpoint, {"usage": usage, "usageMetadata": usage})
        except (UsageInvalid, UsageMissing):
            return
        assert all(type(count) is int and 0 < count <= TOKENS_MAX for count in counted.tokens.values())

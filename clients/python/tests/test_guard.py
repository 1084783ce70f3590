"""The decorator, and how usage is found in what a call returns."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.fake_server import ADMIT, SETTLE, FakeServer, Reply, denial
from watermaster_client import Act, Action, Denied, Watermaster
from watermaster_client.usage import raw_usage, responses_usage

COMPLETION: Action = {"kind": "llm.completion", "name": "openai:gpt-4o-mini"}


@dataclass
class Counted:
    prompt_tokens: int
    completion_tokens: int


@dataclass
class Response:
    text: str
    usage: Counted


class TestGuard:
    def test_admits_and_settles_each_call(self, wm: Watermaster, server: FakeServer) -> None:
        @wm.guard(action=COMPLETION, run=lambda ticket: {"run_id": ticket})
        def complete(ticket: str) -> Response:
            """Says it."""
            return Response(ticket, Counted(10, 5))

        assert complete("t-1").text == "t-1"
        assert complete.__doc__ == "Says it."
        assert server.to(ADMIT)[0].body["run"] == {"run_id": "t-1"}
        assert server.to(SETTLE)[0].body["usage"] == {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}

    def test_hands_the_act_to_a_function_that_wants_it(self, wm: Watermaster) -> None:
        @wm.guard(action=COMPLETION, usage=lambda result: {"prompt_tokens": result})
        def complete(act: Act | None = None) -> int:
            assert act is not None
            return len(act.reservation_id)

        assert complete() == 5

    def test_does_not_call_what_is_denied(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body=denial("BUDGET_EXCEEDED")))
        called: list[bool] = []

        @wm.guard(action=COMPLETION)
        def complete() -> None:
            called.append(True)

        with pytest.raises(Denied):
            complete()
        assert called == []

    def test_gives_the_hold_back_when_the_function_raises(self, wm: Watermaster, server: FakeServer) -> None:
        @wm.guard(action=COMPLETION)
        def complete() -> None:
            raise KeyError

        with pytest.raises(KeyError):
            complete()
        assert server.calls[-1].path == "/v1/reservations/rsv_1/release"


class TestRawUsage:
    @pytest.mark.parametrize(
        "given",
        [
            {"prompt_tokens": 1, "completion_tokens": 2},
            {"id": "r", "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
            Counted(1, 2),
            Response("", Counted(1, 2)),
        ],
    )
    def test_is_found_in_what_sdks_return(self, given: Any) -> None:
        found = raw_usage(given)

        assert found.get("usage", found) == {"prompt_tokens": 1, "completion_tokens": 2}

    def test_keeps_what_else_has_a_price_and_no_word_of_the_answer(self) -> None:
        response = {
            "id": "resp_1",
            "model": "gpt-4o-2024-08-06",
            "service_tier": "flex",
            "output": [
                {"type": "web_search_call", "action": {"query": "a secret"}},
                {"type": "function_call", "arguments": "a secret"},
                {"type": "message", "content": "a secret"},
            ],
            "usage": {"input_tokens": 1, "output_tokens": 2},
        }

        assert raw_usage(response) == {
            "usage": {"input_tokens": 1, "output_tokens": 2},
            "id": "resp_1",
            "model": "gpt-4o-2024-08-06",
            "service_tier": "flex",
            "output": [{"type": "web_search_call"}],
        }

    def test_is_not_made_up(self) -> None:
        with pytest.raises(TypeError, match="No usage is found in an object of type str"):
            raw_usage("10 tokens")

    def test_has_the_parts_of_the_responses_api_that_there_are(self) -> None:
        assert responses_usage(input_tokens=9, output_tokens=3, cached_tokens=4) == {
            "input_tokens": 9,
            "output_tokens": 3,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {},
        }

"""Estimates of tokens: the caller's count first, ours next, bytes last; in bounded time, and learning."""

import random
import string
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.services.output_holds import REASONING_CAP_MIN, output_cap, output_hold
from routing.services.token_estimates import (
    SETTLEMENTS_MAX,
    SETTLEMENTS_MIN,
    UNCALIBRATED,
    Calibration,
    CountedBy,
    estimate_input,
)
from routing.services.tokenizers import COUNTED_LENGTH_MAX, _encoding, count_tokens, tokenizer_of

QUESTION = "Where is my parcel? It should have been here on Tuesday."


class TestTokenizer:
    @pytest.mark.parametrize(
        ("model", "tokenizer"),
        [
            ("gpt-4o-mini-2024-07-18", "o200k_base"),
            ("openai/gpt-5", "o200k_base"),
            ("o3", "o200k_base"),
            ("gpt-4-turbo", "cl100k_base"),
            ("gpt-3.5-turbo", "cl100k_base"),
            ("text-embedding-3-small", "cl100k_base"),
            ("claude-3-haiku-20240307", "claude-3.0"),
            ("claude-3-5-haiku-latest", "claude-3.5"),
            ("claude-sonnet-4-5-20250929", "claude-4.5"),
            ("anthropic/claude-opus-4.8", "claude-4.8"),
            ("claude-sonnet-4-20250514", "claude-4.0"),
            ("claude-instant", "claude-4.8"),
            ("gemini-2.5-pro", None),
            ("llama-3.3-70b", None),
            ("", None),
        ],
    )
    def test_is_that_of_the_model(self, model: str, tokenizer: str | None) -> None:
        assert tokenizer_of(model) == tokenizer

    @pytest.mark.parametrize(
        ("text", "tokenizer", "tokens"),
        [
            ("hello world", "cl100k_base", 2),
            ("hello world", "o200k_base", 2),
            ("", "o200k_base", 0),
            (QUESTION, "o200k_base", 13),
        ],
    )
    def test_counts_as_the_provider_does(self, text: str, tokenizer: str, tokens: int) -> None:
        assert count_tokens(text, tokenizer=tokenizer) == tokens

    @pytest.mark.parametrize("tokenizer", ["o200k_base", "cl100k_base", "claude-3.0", "claude-4.8"])
    @pytest.mark.parametrize(
        "text",
        [
            "a" * COUNTED_LENGTH_MAX,
            " " * COUNTED_LENGTH_MAX,
            "\n" * COUNTED_LENGTH_MAX,
            "价格" * (COUNTED_LENGTH_MAX // 2),
            "".join(random.Random(1).choices(string.printable, k=COUNTED_LENGTH_MAX)),
            "word " * 2_000_000,
        ],
        ids=["letters", "spaces", "lines", "chinese", "noise", "ten megabytes"],
    )
    def test_takes_no_longer_for_what_it_cannot_split(self, tokenizer: str, text: str) -> None:
        count_tokens("warm", tokenizer=tokenizer)
        begun = perf_counter()
        count_tokens(text, tokenizer=tokenizer)

        # The library alone takes from three seconds to minutes for some of them.
        assert perf_counter() - begun < 1

    def test_scales_the_samples_of_a_long_text(self) -> None:
        text = "the parcel is late and the customer is angry. " * 2_000

        exact = 10 * 2_000
        assert count_tokens(text, tokenizer="o200k_base") == pytest.approx(exact, rel=0.01)

    def test_remembers_nothing_of_a_text(self) -> None:
        count_tokens("acme's secret launch in november", tokenizer="o200k_base")

        assert _encoding("o200k_base")._cache == {}

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=300), st.sampled_from(["o200k_base", "claude-3.0"]))
    def test_counts_any_text(self, text: str, tokenizer: str) -> None:
        assert 0 <= count_tokens(text, tokenizer=tokenizer) <= 8 * len(text) + 8

    def test_counts_a_lone_surrogate(self) -> None:
        assert count_tokens("\ud800 hello", tokenizer="claude-3.0") > 0


class TestEstimate:
    def test_is_the_runtimes_own_count(self) -> None:
        estimate = estimate_input(model="gpt-4o", own_count=1234, text=QUESTION)

        assert (estimate.tokens, estimate.counted_by) == (1234, CountedBy.RUNTIME)

    def test_is_ours_without_one(self) -> None:
        estimate = estimate_input(model="gpt-4o", text=QUESTION)

        assert (estimate.tokens, estimate.counted_by) == (13, CountedBy.TOKENIZER)

    @pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abc", 1), ("abcd", 2), ("äöü", 2)])
    def test_is_a_third_of_the_bytes_without_a_tokenizer(self, text: str, tokens: int) -> None:
        estimate = estimate_input(model="gemini-2.5-pro", text=text)

        assert (estimate.tokens, estimate.counted_by) == (tokens, CountedBy.BYTES)

    def test_is_multiplied_by_what_was_learnt_for_its_way_of_counting(self) -> None:
        learnt = {CountedBy.BYTES: Calibration(estimated=1000, actual=640, settlements=50)}

        assert estimate_input(model="gemini-2.5-pro", text="a" * 300, calibrations=learnt).tokens == 64
        assert estimate_input(model="gemini-2.5-pro", own_count=100, calibrations=learnt).tokens == 100

    def test_keeps_the_count_before_the_factor(self) -> None:
        learnt = {CountedBy.RUNTIME: Calibration(estimated=1000, actual=1500, settlements=50)}

        estimate = estimate_input(model="gpt-4o", own_count=100, calibrations=learnt)
        assert (estimate.tokens, estimate.counted) == (150, 100)


class TestCalibration:
    @pytest.mark.parametrize(
        ("settlements", "factor"), [(SETTLEMENTS_MIN - 1, 1_000_000), (SETTLEMENTS_MIN, 1_200_000)]
    )
    def test_is_believed_after_enough_settlements(self, settlements: int, factor: int) -> None:
        learnt = UNCALIBRATED
        for _ in range(settlements):
            learnt = learnt.learn(estimated=100, actual=120)

        assert learnt.factor_ppm == factor

    def test_forgets_slowly(self) -> None:
        learnt = UNCALIBRATED
        for _ in range(SETTLEMENTS_MAX * 2):
            learnt = learnt.learn(estimated=100, actual=100)
        for _ in range(SETTLEMENTS_MAX * 3):
            learnt = learnt.learn(estimated=100, actual=200)

        assert learnt.factor_ppm > 1_850_000
        assert learnt.settlements < SETTLEMENTS_MAX

    @pytest.mark.parametrize(("actual", "factor"), [(0, 500_000), (10**9, 3_000_000)])
    def test_stays_within_bounds(self, actual: int, factor: int) -> None:
        learnt = UNCALIBRATED
        for _ in range(100):
            learnt = learnt.learn(estimated=100, actual=actual)

        assert learnt.factor_ppm == factor

    def test_is_not_turned_by_one_settlement(self) -> None:
        learnt = UNCALIBRATED
        for _ in range(100):
            learnt = learnt.learn(estimated=100, actual=100)

        assert learnt.learn(estimated=100, actual=10**9).factor_ppm < 1_030_000

    @pytest.mark.parametrize(("estimated", "actual"), [(0, 5), (-1, 5), (5, -1)])
    def test_learns_nothing_from_nothing(self, estimated: int, actual: int) -> None:
        assert UNCALIBRATED.learn(estimated=estimated, actual=actual) == UNCALIBRATED


class TestOutputHold:
    @pytest.mark.parametrize(("p99", "hold"), [(0, 0), (1, 2), (400, 500), (800, 1000), (801, 1000)])
    def test_is_a_quarter_above_the_percentile_and_never_above_the_cap(self, p99: int, hold: int) -> None:
        assert output_hold(cap=1000, p99=p99, is_scarce=False, must_not_exceed=False) == hold

    @pytest.mark.parametrize(
        ("p99", "is_scarce", "must_not_exceed"), [(None, False, False), (10, True, False), (10, False, True)]
    )
    def test_is_the_cap_where_nothing_may_go_wrong(
        self, p99: int | None, is_scarce: bool, must_not_exceed: bool
    ) -> None:
        assert output_hold(cap=1000, p99=p99, is_scarce=is_scarce, must_not_exceed=must_not_exceed) == 1000


class TestOutputCap:
    def test_is_the_least_of_all(self) -> None:
        assert output_cap(limits=[4000, 2000], requested=None, is_reasoning=False) == 2000
        assert output_cap(limits=[4000, 2000], requested=300, is_reasoning=False) == 300
        assert output_cap(limits=[4000, 2000], requested=9000, is_reasoning=False) == 2000

    @pytest.mark.parametrize(
        ("limit", "cap"), [(100, REASONING_CAP_MIN), (REASONING_CAP_MIN + 1, REASONING_CAP_MIN + 1)]
    )
    def test_leaves_a_reasoning_model_room_to_answer(self, limit: int, cap: int) -> None:
        assert output_cap(limits=[limit], requested=None, is_reasoning=True) == cap

    def test_never_asks_for_more_than_the_caller(self) -> None:
        assert output_cap(limits=[100], requested=50, is_reasoning=True) == 50

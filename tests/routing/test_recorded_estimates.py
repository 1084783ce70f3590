"""Estimates beside what providers counted and services generated."""

import csv
import gzip
import json
from typing import Any

import pytest

from routing.services.output_holds import output_hold
from routing.services.token_estimates import UNCALIBRATED, CountedBy, estimate_input
from tests.support.recordings import recorded


def questions(model: str) -> list[tuple[str, int]]:
    """Each prompt with the provider's count of it."""
    with gzip.open(recorded("routerarena") / f"{model}.jsonl.gz", "rt") as lines:
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [(record["question"], record["token_usage"]["input_tokens"]) for record in records]


class TestInput:
    def test_of_claude_is_the_providers_count(self) -> None:
        recordings = questions("claude-3-haiku-20240307")[::5]

        # Longer ones are sampled.
        short = [(text, tokens) for text, tokens in recordings if len(text) <= 8_192]
        wrong = [
            (estimate.tokens, tokens)
            for text, tokens in short
            if (estimate := estimate_input(model="claude-3-haiku-20240307", text=text)).tokens != tokens
        ]
        assert len(short) > 100
        assert wrong == []

    def test_by_bytes_is_too_high_until_it_learns(self) -> None:
        recordings = questions("gemini-2.0-flash-001")
        half = len(recordings) // 2
        calibration = UNCALIBRATED
        for text, tokens in recordings[:half]:
            estimate = estimate_input(model="gemini-2.0-flash-001", text=text)
            calibration = calibration.learn(estimated=estimate.counted, actual=tokens)

        def off_by(calibrations: dict[CountedBy, Any]) -> float:
            estimated = sum(
                estimate_input(model="gemini-2.0-flash-001", text=text, calibrations=calibrations).tokens
                for text, _ in recordings[half:]
            )
            return estimated / sum(tokens for _, tokens in recordings[half:]) - 1

        before, after = off_by({}), off_by({CountedBy.BYTES: calibration})
        print(f"bytes / 3 is off by {before:+.1%}; times the learnt {calibration.factor_ppm / 1e6:.3f} by {after:+.1%}")
        assert before > 0.3
        assert abs(after) < 0.15


class TestOutput:
    @pytest.mark.parametrize("service", ["conv", "code"])
    def test_is_under_reserved_at_most_once_in_two_hundred_calls(self, service: str) -> None:
        with (recorded("azure-llm-2023") / f"{service}.csv").open() as stream:
            generated = [int(row["GeneratedTokens"]) for row in csv.DictReader(stream)]
        half = len(generated) // 2
        p99, cap = sorted(generated[:half])[half * 99 // 100], max(generated)

        hold = output_hold(cap=cap, p99=p99, is_scarce=False, must_not_exceed=False)

        under = sum(tokens > hold for tokens in generated[half:]) / (len(generated) - half)
        print(f"{service}: hold {hold} of {cap}, {under:.2%} under-reserved, {cap / hold:.1f} times the concurrency")
        assert under <= 0.005

"""Reading traces, pricing calls, counting percentiles."""

from pathlib import Path

import pytest

from budgets.replay.prices import FlatPrice, actual_of, estimate_of
from budgets.replay.tally import percentile
from budgets.replay.trace import TraceCall, UnreadableTrace, read_trace

HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


class TestReadTrace:
    def test_counts_time_from_the_first_call(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(HEAD + "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.2299600,3180,8\n")

        assert read_trace(path) == [TraceCall(1, 0.0, 4808, 10), TraceCall(2, 0.25, 3180, 8)]

    def test_puts_calls_in_order_and_skips_other_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(
            "GeneratedTokens,Note,TIMESTAMP,ContextTokens\r\n2,b,2023-01-01 00:00:01,20\r\n1,a,2023-01-01,10\r\n"
        )

        assert read_trace(path) == [TraceCall(1, 0.0, 10, 1), TraceCall(2, 1.0, 20, 2)]

    def test_takes_the_first_lines_only(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text(HEAD + "2023-01-01,1,1\n2023-01-02,2,2\n2023-01-03,broken,3\n")

        assert len(read_trace(path, limit=2)) == 2

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "has no column TIMESTAMP"),
            ("TIMESTAMP,ContextTokens\n", "has no column GeneratedTokens"),
            (HEAD, "holds no calls"),
            (HEAD + "2023-01-01,1,1\nyesterday,1,1\n", "line 3: not a time"),
            (HEAD + "2023-01-01,1.5,1\n", "line 2: not a time"),
            (HEAD + "2023-01-01,1\n", "line 2: not a time"),
            (HEAD + "2023-01-01,-1,1\n", "line 2: a number of tokens is out of range"),
            (HEAD + "2023-01-01,1,100000001\n", "line 2: a number of tokens is out of range"),
            (HEAD + "2023-01-01,1,1\n2023-01-01T00:00:00Z,1,1\n", "with and without a time zone"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path: Path, text: str, sentence: str) -> None:
        path = tmp_path / "t.csv"
        path.write_text(text)

        with pytest.raises(UnreadableTrace, match=sentence):
            read_trace(path)

    def test_refuses_what_is_no_text_file(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")

        with pytest.raises(UnreadableTrace, match="is not a text file"):
            read_trace(tmp_path / "t.csv")
        with pytest.raises(UnreadableTrace, match="No such file"):
            read_trace(tmp_path / "missing.csv")
        with pytest.raises(UnreadableTrace, match="directory"):
            read_trace(tmp_path)


class TestPrices:
    def test_an_estimate_knows_the_context_and_guesses_the_answer(self) -> None:
        call, price = TraceCall(1, 0.0, context_tokens=100, generated_tokens=7), FlatPrice(15, 60)

        assert estimate_of(call, price, generated_tokens=10) == 100 * 15 + 10 * 60
        assert actual_of(call, price) == 100 * 15 + 7 * 60


class TestPercentile:
    @pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100), (0.001, 1)])
    def test_is_the_nearest_rank(self, share: float, value: int) -> None:
        assert percentile(range(1, 101), share) == value

    def test_of_one_value_is_that_value(self) -> None:
        assert percentile([7.0], 0.99) == 7.0

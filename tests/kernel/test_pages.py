"""How amounts, times and bars look."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.money import AMOUNT_MAX
from kernel.pages.amounts import amount_text, counted_text, exact_amount_text, share_text
from kernel.pages.bars import FULL, Tone, budget_bar
from kernel.pages.moments import duration_text, exact_moment_text, moment_text
from kernel.pages.phrases import code, plain, render, sentence, strong

AMOUNTS = st.integers(min_value=0, max_value=AMOUNT_MAX)


class TestAmount:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            (0, "$0.00"),
            (1, "$0.00000001"),
            (9_999, "$0.00009999"),
            (10_000, "$0.0001"),
            (4_000_000, "$0.04"),
            (4_010_000, "$0.0401"),
            (99_999_999, "$1.0000"),
            (100_000_000, "$1.00"),
            (821_406_000_000, "$8,214.06"),
            (-5_000_000, "\N{MINUS SIGN}$0.05"),
            (AMOUNT_MAX, "$92,233,720,368.55"),
        ],
    )
    def test_is_rounded_but_never_to_nothing(self, amount: int, text: str) -> None:
        assert amount_text(amount, "USD_MICROCENTS") == text

    @pytest.mark.parametrize(
        ("amount", "text"), [(5_000_000, "$0.0500"), (0, "$0.00"), (100_000_000, "$1.00"), (1, "$0.00000001")]
    )
    def test_of_single_calls_keeps_its_decimals_in_line(self, amount: int, text: str) -> None:
        assert amount_text(amount, "USD_MICROCENTS", is_fine=True) == text

    @pytest.mark.parametrize(
        ("amount", "text"), [(41_000_000, "$0.41"), (199_999_999, "$1.99999999"), (200_000_000, "$2.00")]
    )
    def test_is_exact_in_sentences(self, amount: int, text: str) -> None:
        assert exact_amount_text(amount, "USD_MICROCENTS") == text

    @pytest.mark.parametrize(
        ("amount", "unit", "text"),
        [
            (1, "TOKENS", "1 token"),
            (12_500, "TOKENS", "12,500 tokens"),
            (3, "CREDITS", "3 credits"),
            (2, "RISK_POINTS", "2 points"),
            (7, "SHEEP", "7 SHEEP"),
        ],
    )
    def test_names_its_unit(self, amount: int, unit: str, text: str) -> None:
        assert amount_text(amount, unit) == text

    @given(AMOUNTS)
    def test_exact_text_tells_any_two_amounts_apart(self, amount: int) -> None:
        text = exact_amount_text(amount, "USD_MICROCENTS")

        assert int(text.replace("$", "").replace(",", "").replace(".", "").ljust(len(text), "0")) >= 0
        assert text != exact_amount_text(amount + 1, "USD_MICROCENTS")


class TestBar:
    @given(allocated=AMOUNTS, used=AMOUNTS, held=AMOUNTS)
    def test_stays_within_its_width_and_hides_nothing(self, allocated: int, used: int, held: int) -> None:
        bar = budget_bar(allocated=allocated, used=used, held=held)

        assert bar.used + bar.held <= FULL
        assert (bar.used > 0) == (used > 0)
        assert (bar.held > 0) == (held > 0)

    @pytest.mark.parametrize(
        ("used", "held", "tone"),
        [(0, 0, Tone.INFO), (899, 0, Tone.INFO), (500, 400, Tone.WARN), (999, 0, Tone.WARN), (999, 1, Tone.BAD)],
    )
    def test_warns_from_ninety_percent_and_is_red_when_nothing_is_left(self, used: int, held: int, tone: Tone) -> None:
        assert budget_bar(allocated=1000, used=used, held=held).tone == tone

    def test_of_nothing_is_calm(self) -> None:
        assert budget_bar(allocated=0, used=0, held=0).tone == Tone.CALM

    def test_says_what_it_shows(self) -> None:
        assert budget_bar(allocated=1000, used=413, held=1).label == "41% spent, under 1% held"


class TestMoment:
    NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("ago", "text"),
        [
            (timedelta(0), "17:30:00 IST"),
            (timedelta(hours=17), "00:30:00 IST"),
            (timedelta(hours=18), "Nov 21, 23:30 IST"),
            (timedelta(days=400), "Oct 18 2025, 17:30 IST"),
        ],
    )
    def test_is_as_short_as_it_stays_clear(self, ago: timedelta, text: str) -> None:
        assert moment_text(self.NOW - ago, time_zone="Asia/Kolkata", now=self.NOW) == text

    def test_is_exact_on_hover(self) -> None:
        at = datetime(2026, 11, 22, 3, 32, 14, 118_999, tzinfo=UTC)

        assert exact_moment_text(at, time_zone="Asia/Kolkata") == "2026-11-22 09:02:14.118 IST (03:32:14 UTC)"
        assert exact_moment_text(at, time_zone="UTC") == "2026-11-22 03:32:14.118 UTC"


class TestDuration:
    @pytest.mark.parametrize(
        ("milliseconds", "text"),
        [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_500, "1.5 s"),
            (59_999, "59.999 s"),
            (60_000, "1 min"),
            (601_000, "10 min 1 s"),
            (3_599_999, "59 min 59 s"),
            (3_600_000, "1 h"),
            (7_500_000, "2 h 5 min"),
        ],
    )
    def test_has_two_units_at_most(self, milliseconds: int, text: str) -> None:
        assert duration_text(milliseconds) == text


class TestCount:
    def test_has_its_noun_in_the_right_number(self) -> None:
        assert [counted_text(count, "run") for count in (0, 1, 1_204)] == ["0 runs", "1 run", "1,204 runs"]


class TestShare:
    @pytest.mark.parametrize(
        ("ppm", "text"), [(0, "0%"), (1, "0.0001%"), (49_999, "4.9999%"), (70_000, "7%"), (1_000_000, "100%")]
    )
    def test_is_a_percentage_to_the_last_digit(self, ppm: int, text: str) -> None:
        assert share_text(ppm) == text


class TestSentence:
    def test_escapes_what_it_is_given(self) -> None:
        pieces = sentence("a < b ", strong("<b>"), " ", code("<i>"))

        assert render(pieces) == "a &lt; b <strong>&lt;b&gt;</strong> <code>&lt;i&gt;</code>"
        assert plain(pieces) == "a < b <b> <i>"

"""From usage to money: every kind at its rate, every line rounded once, and the lines make the total."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.pricing.charge import AmountTooLarge, Rounding, price_hold, price_usage
from routing.pricing.fallback import FALLBACK_TOOL_FEE, fallback_for
from routing.pricing.kinds import Kind, Mode
from routing.pricing.price import RATE_MAX, Price, PriceSource, divided_half_even, price_of_document
from routing.pricing.usage import CALLS_MAX, TOKENS_MAX, Usage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
USD = 10**8
MILLION = 10**6

PRICE = Price(
    provider="openai",
    model="gpt-x",
    source=PriceSource.LIST,
    version="v1",
    rates={
        "standard": {"input": 2 * USD, "cached_input": USD // 2, "cache_write": 3 * USD, "output": 8 * USD},
        "standard_long": {"input": 4 * USD, "output": 12 * USD},
        "batch": {"input": 1 * USD, "output": 4 * USD},
    },
    long_context_from=200_000,
    tool_fees={"web_search": 1_000_000},
)


def cost(usage: Usage, price: Price = PRICE, rounding: Rounding = Rounding.SETTLE) -> int:
    return price_usage(usage, price, rounding=rounding, requested_at=NOW).total


def tokens(**kinds: int) -> Usage:
    return Usage(tokens={Kind(kind): count for kind, count in kinds.items()})


class TestKinds:
    def test_cost_their_own_rates(self) -> None:
        usage = tokens(input=100_000, cached_input=50_000, cache_write=10_000, output=20_000)

        assert cost(usage) == (100_000 * 200 + 50_000 * 50 + 10_000 * 300 + 20_000 * 800)

    @pytest.mark.parametrize(
        ("kind", "priced_as"),
        [
            ("cache_write_1h", "cache_write"),
            ("input_audio", "input"),
            ("reasoning", "output"),
            ("cached_audio", "input"),
        ],
    )
    def test_without_a_rate_cost_what_they_are_like(self, kind: str, priced_as: str) -> None:
        assert cost(tokens(**{kind: 1000})) == cost(tokens(**{priced_as: 1000}))

    def test_that_the_price_cannot_know_are_never_free(self) -> None:
        embedding = replace(PRICE, rates={"standard": {"input": 2_000_000}})

        charge = price_usage(
            tokens(input=MILLION, output=MILLION), embedding, rounding=Rounding.SETTLE, requested_at=NOW
        )

        assert charge.total == 2_000_000 + 75 * USD
        assert charge.is_fallback


class TestLongContext:
    @pytest.mark.parametrize(("input_tokens", "rate"), [(200_000, 200), (200_001, 400)])
    def test_is_a_cliff_for_the_whole_request(self, input_tokens: int, rate: int) -> None:
        assert cost(tokens(input=input_tokens)) == input_tokens * rate

    def test_counts_cached_tokens_too(self) -> None:
        charge = price_usage(
            tokens(input=1, cached_input=200_000, output=1000), PRICE, rounding=Rounding.SETTLE, requested_at=NOW
        )

        assert charge.is_long
        assert charge.total == 400 + 200_000 * 50 + 1000 * 1200


class TestModes:
    def test_of_batch_cost_its_rates_and_the_standard_ones_for_the_rest(self) -> None:
        usage = replace(tokens(input=1000, cached_input=1000, output=1000), mode=Mode.BATCH)

        assert cost(usage) == 1000 * 100 + 1000 * 50 + 1000 * 400

    def test_that_the_price_does_not_name_cost_the_standard(self) -> None:
        assert cost(replace(tokens(input=1000), mode=Mode.PRIORITY)) == 1000 * 200


class TestFees:
    def test_of_a_call_and_of_hosted_tools_are_added(self) -> None:
        priced = replace(PRICE, per_call=5_000)

        assert cost(Usage(tokens={}, hosted_tools={"web_search": 3}), priced) == 5_000 + 3_000_000

    def test_of_an_unknown_tool_are_the_fallback_s_and_flagged(self) -> None:
        charge = price_usage(
            Usage(tokens={}, hosted_tools={"moon_search": 2}), PRICE, rounding=Rounding.SETTLE, requested_at=NOW
        )

        assert charge.total == 2 * FALLBACK_TOOL_FEE
        assert charge.is_fallback

    def test_are_not_charged_for_functions_of_the_runtime(self) -> None:
        assert cost(Usage(tokens={}, function_calls={"crm.find": 9})) == 0


class TestRounding:
    # A rate of 1 is a millionth of a micro-cent for a token.
    DUST = replace(PRICE, rates={"standard": {"input": 1, "output": 1}})

    @pytest.mark.parametrize(
        ("count", "settled"), [(1, 0), (499_999, 0), (500_000, 0), (500_001, 1), (1_500_000, 2), (2_500_000, 2)]
    )
    def test_of_a_settlement_is_half_to_even(self, count: int, settled: int) -> None:
        assert cost(tokens(output=count), self.DUST) == settled

    @pytest.mark.parametrize(("count", "held"), [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)])
    def test_of_a_hold_is_up(self, count: int, held: int) -> None:
        assert cost(tokens(output=count), self.DUST, Rounding.RESERVE) == held

    @settings(max_examples=200, deadline=None)
    @given(
        counts=st.dictionaries(st.sampled_from(list(Kind)), st.integers(0, TOKENS_MAX // 20)),
        rates=st.fixed_dictionaries(
            {"input": st.integers(0, RATE_MAX), "output": st.integers(0, RATE_MAX)},
            optional={"cached_input": st.integers(0, RATE_MAX), "reasoning": st.integers(0, RATE_MAX)},
        ),
    )
    def test_is_once_a_line_and_the_lines_make_the_total(self, counts: dict[Kind, int], rates: dict[str, int]) -> None:
        price, usage = replace(PRICE, rates={"standard": rates}, long_context_from=None), Usage(tokens=counts)
        settled = price_usage(usage, price, rounding=Rounding.SETTLE, requested_at=NOW)
        held = price_usage(usage, price, rounding=Rounding.RESERVE, requested_at=NOW)

        exact = sum((Fraction(line.quantity * line.unit_price, line.per) for line in settled.lines), Fraction(0))
        assert settled.total == sum(line.amount for line in settled.lines)
        assert abs(settled.total - exact) <= Fraction(len(settled.lines), 2)
        assert exact <= held.total
        assert held.total >= settled.total

    @given(st.integers(0, 10**20), st.integers(1, 10**9))
    def test_half_to_even_is_what_fractions_say(self, dividend: int, divisor: int) -> None:
        assert divided_half_even(dividend, divisor) == round(Fraction(dividend, divisor))


class TestSize:
    def test_of_the_largest_usage_at_the_largest_rate_fits(self) -> None:
        assert cost(tokens(output=TOKENS_MAX), replace(PRICE, rates={"standard": {"output": RATE_MAX}})) == 10**17

    def test_beyond_64_bits_is_refused(self) -> None:
        dear = replace(PRICE, tool_fees={"web_search": RATE_MAX})

        with pytest.raises(AmountTooLarge):
            cost(Usage(tokens={}, hosted_tools={"web_search": CALLS_MAX}), dear)


class TestHold:
    def test_takes_the_dearer_of_output_and_reasoning(self) -> None:
        thinking = replace(PRICE, rates={"standard": {"input": USD, "output": 2 * USD, "reasoning": 3 * USD}})

        held = price_hold(input_tokens=1000, output_tokens=1000, price=thinking, requested_at=NOW)

        assert held.total == 1000 * 100 + 1000 * 300

    def test_of_a_long_request_is_at_the_long_rates(self) -> None:
        held = price_hold(input_tokens=200_001, output_tokens=10, price=PRICE, requested_at=NOW)

        assert held.total == 200_001 * 400 + 10 * 1200

    def test_of_nothing_is_nothing(self) -> None:
        assert price_hold(input_tokens=0, output_tokens=0, price=PRICE, requested_at=NOW).lines == ()


class TestPriceOfAnotherTime:
    OCTOBER = datetime(2026, 10, 14, tzinfo=UTC)
    LATER = replace(PRICE, effective_from=OCTOBER)

    @pytest.mark.parametrize(("before", "warned"), [(timedelta(0), False), (timedelta(microseconds=1), True)])
    def test_warns_when_it_came_after_the_call(self, before: timedelta, warned: bool) -> None:
        charge = price_usage(
            replace(tokens(input=1000), mode=Mode.BATCH),
            self.LATER,
            rounding=Rounding.SETTLE,
            requested_at=self.OCTOBER - before,
        )

        assert bool(charge.warnings) is warned
        assert all("later than the call" in warning for warning in charge.warnings)

    @pytest.mark.parametrize(("after", "warned"), [(timedelta(microseconds=-1), False), (timedelta(0), True)])
    def test_warns_when_it_had_ended(self, after: timedelta, warned: bool) -> None:
        ended = replace(PRICE, effective_until=self.OCTOBER)

        charge = price_usage(tokens(input=1), ended, rounding=Rounding.SETTLE, requested_at=self.OCTOBER + after)

        assert bool(charge.warnings) is warned


class TestFallback:
    def test_is_flagged_and_never_nothing(self) -> None:
        charge = price_usage(
            tokens(input=1), fallback_for(provider="openai", model="gpt-99"), rounding=Rounding.SETTLE, requested_at=NOW
        )

        assert charge.total == 1500
        assert charge.is_fallback
        assert charge.model == "gpt-99"
        assert "has no price" in charge.warnings[0]


class TestMultiplier:
    def test_scales_every_rate_and_fee(self) -> None:
        dearer = replace(PRICE, per_call=1000).times(1_200_000)

        assert dearer.source == PriceSource.MULTIPLIER
        assert cost(Usage(tokens={Kind.INPUT: MILLION}, hosted_tools={"web_search": 1}), dearer) == (
            400_000_000 * 12 // 10 + 1_200_000 + 1200
        )

    def test_rounds_half_to_even(self) -> None:
        halves = replace(PRICE, rates={"standard": {"input": 1, "output": 3}}).times(500_000)

        assert halves.rates == {"standard": {"input": 0, "output": 2}}


class TestDocument:
    def test_of_a_price_comes_back_as_the_price(self) -> None:
        priced = replace(PRICE, per_call=7, effective_from=NOW)

        assert price_of_document(priced.as_document(), provider="openai", model="gpt-x") == priced

    def test_has_what_sql_needs_flat(self) -> None:
        document = PRICE.as_document()

        assert document["input"] == 2 * USD
        assert document["reasoning"] == 8 * USD
        assert (document["long_context_from"], document["long_input"], document["long_output"]) == (
            200_000,
            4 * USD,
            12 * USD,
        )

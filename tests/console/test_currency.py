"""Display currency: amounts are booked in USD and may be read in others, by a rate that the page states."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from kernel.money import AMOUNT_MAX
from kernel.pages.amounts import Display, displayed_text
from telemetry.models import AuditEntry
from tenants.models import DisplayRate
from tenants.selectors.display_rates import latest_displays
from tests.support.owner import delete_shared

DOLLAR = 10**8


def today() -> date:
    return datetime.now(UTC).date()


def display(currency: str, rate: str) -> Display:
    return Display(
        currency=currency, micros_per_usd=int(Decimal(rate) * 10**6), as_of=date(2026, 11, 20), source="the bank"
    )


RUPEES = display("INR", "84.10")


@pytest.fixture
def rates(database: None) -> Iterator[None]:
    delete_shared(DisplayRate.objects.all())
    yield
    delete_shared(DisplayRate.objects.all())


def set_rate(currency: str, rate: str, *more: str) -> str:
    said = StringIO()
    call_command("set_display_rate", currency, rate, *more, stdout=said)
    return said.getvalue()


class TestText:
    @pytest.mark.parametrize(
        ("currency", "rate", "amount", "text"),
        [
            ("INR", "84.10", 1_467_880_000_000, "₹12,34,487.08"),
            ("INR", "84.10", 200_000_000_000 * 10**4, "₹1,68,20,00,000.00"),
            ("INR", "84.10", DOLLAR, "₹84.10"),
            ("INR", "84.10", -DOLLAR, "\N{MINUS SIGN}₹84.10"),
            ("INR", "84.10", 0, "₹0.00"),
            ("EUR", "0.92", 123_456_789 * DOLLAR, "€113,580,245.88"),
            ("GBP", "0.79", 1_000 * DOLLAR, "£790.00"),
            ("JPY", "151.235", 1_000 * DOLLAR, "¥151,235"),
            ("JPY", "151.235", DOLLAR // 1000, "¥0.1512"),
            ("INR", "84.10", 1, "₹0.00000084"),
            ("EUR", "0.000001", 1, "€0.00000000000001"),
        ],
    )
    def test_is_written_as_its_people_write_it(self, currency: str, rate: str, amount: int, text: str) -> None:
        assert displayed_text(amount, display(currency, rate)) == text

    @given(amount=st.integers(0, AMOUNT_MAX * 1000), micros=st.integers(1, 10**12))
    def test_is_the_exact_product_rounded_once(self, amount: int, micros: int) -> None:
        shown = Display(currency="INR", micros_per_usd=micros, as_of=today(), source="x")

        number = Decimal(displayed_text(amount, shown).replace("₹", "").replace(",", ""))

        exact = Decimal(f"{amount * micros}e-14")
        assert (number == 0) == (amount == 0)
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        with localcontext(prec=100):
            assert number == exact.quantize(Decimal(1).scaleb(exponent), rounding=ROUND_HALF_EVEN)

    @pytest.mark.parametrize(
        ("currency", "rate", "text"), [("INR", "84.1", "₹84.10"), ("JPY", "151.235", "¥151.235"), ("EUR", "1", "€1.00")]
    )
    def test_states_its_rate_to_the_last_digit(self, currency: str, rate: str, text: str) -> None:
        assert display(currency, rate).rate_text == text


class TestTag:
    def render(self, amount: int, unit: str, style: str = "", **context: Any) -> str:
        return Template(f"{{% amount value unit '{style}' %}}").render(
            Context({"value": amount, "unit": unit} | context)
        )

    def test_shows_the_currency_and_keeps_usd_one_hover_away(self) -> None:
        text = self.render(123_456_789, "USD_MICROCENTS", display=RUPEES)

        assert ">₹103.83</data>" in text
        assert 'title="$1.23456789 (123,456,789 USD_MICROCENTS)"' in text

    def test_leaves_other_units_and_exact_amounts_alone(self) -> None:
        assert ">5 tokens<" in self.render(5, "TOKENS", display=RUPEES)
        assert ">$1.00<" in self.render(DOLLAR, "USD_MICROCENTS", "exact", display=RUPEES)

    def test_shows_usd_where_nothing_was_chosen(self) -> None:
        assert ">$1.00<" in self.render(DOLLAR, "USD_MICROCENTS")
        assert ">$1.00<" in self.render(DOLLAR, "USD_MICROCENTS", display=None)


@pytest.mark.usefixtures("rates")
class TestRates:
    def test_are_set_from_the_command_line_and_audited(self) -> None:
        said = set_rate("inr", "84.10", "--as-of", "2026-11-20", "--source", "RBI")

        assert said == "1 USD is shown as 84.10 INR, the rate of 2026-11-20.\n"
        (found,) = latest_displays(today=today())
        assert (found.currency, found.micros_per_usd) == ("INR", 84_100_000)
        assert (found.as_of, found.source) == (date(2026, 11, 20), "RBI")
        assert AuditEntry.objects.filter(action="display_rate.set", target="INR").exists()

    def test_the_latest_day_counts_and_of_one_day_the_last_word(self) -> None:
        set_rate("INR", "84.10", "--as-of", "2026-11-20")
        set_rate("INR", "84.20", "--as-of", "2026-11-20")
        set_rate("INR", "70", "--as-of", "2020-01-01")
        set_rate("EUR", "0.92", "--as-of", "2026-11-19")

        found = [(each.currency, each.micros_per_usd) for each in latest_displays(today=today())]
        earlier = [each.micros_per_usd for each in latest_displays(today=date(2026, 11, 18))]

        assert found == [("EUR", 920_000), ("INR", 84_200_000)]
        assert earlier == [70_000_000]

    @pytest.mark.parametrize(
        ("currency", "rate", "more", "sentence"),
        [
            ("INR", "0", [], "positive"),
            ("INR", "-1", [], "positive"),
            ("INR", "NaN", [], "positive"),
            ("INR", "Infinity", [], "positive"),
            ("INR", "1e30", [], "positive"),
            ("INR", "84.1234567", [], "six decimals"),
            ("INR", "many", [], "many is not a number"),
            ("USD", "1", [], "in USD anyway"),
            ("XYZ", "1", [], "XYZ is no currency"),
            ("INR", "84", ["--as-of", "9998-12-31"], "yet to come"),
            ("INR", "84", ["--source", " "], "Say who says so"),
        ],
    )
    def test_are_refused_in_a_sentence(self, currency: str, rate: str, more: list[str], sentence: str) -> None:
        with pytest.raises(CommandError, match=sentence):
            set_rate(currency, rate, *more)

        assert not DisplayRate.objects.exists()

    def test_the_finest_and_the_largest_are_kept(self) -> None:
        set_rate("INR", "0.000001")
        set_rate("IDR", "9223372036854.775807")

        assert [each.micros_per_usd for each in latest_displays(today=today())] == [AMOUNT_MAX, 1]

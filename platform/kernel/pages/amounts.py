"""Amounts as text, by Babel: money with its currency, counts with separators."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from babel import Locale
from babel.numbers import format_currency, format_decimal, get_currency_precision

from kernel.money import Unit

#: 1 USD.
MICROCENTS_PER_USD: Final = 10**8
_MICROCENTS_PER_CENT: Final = 10**6
# Parsed once: Babel would parse the name at every call.
_LOCALE: Final = Locale.parse("en_US")
# Where a currency is written as its own people write it: in India by lakhs and crores.
_LOCALES: Final[Mapping[str, Locale]] = {"INR": Locale.parse("en_IN"), "GBP": Locale.parse("en_GB")}
_MINUS: Final = "\N{MINUS SIGN}"
_NOUNS: Final = {
    Unit.TOKENS: ("token", "tokens"),
    Unit.CREDITS: ("credit", "credits"),
    Unit.RISK_POINTS: ("point", "points"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A currency in which amounts are shown beside the USD in which they are booked, by the rate of a day."""

    currency: str
    micros_per_usd: int
    as_of: date
    source: str

    @property
    def rate_text(self) -> str:
        """What 1 USD is worth: `₹84.10`, `¥151.235`."""
        micros = Decimal(self.micros_per_usd).scaleb(-6)
        exponent = micros.normalize().as_tuple().exponent
        needed = max(get_currency_precision(self.currency), -exponent if isinstance(exponent, int) else 0)
        return _currency_text(micros, self.currency, decimals=needed)


def amount_text(amount: int, unit: str, *, is_fine: bool = False) -> str:
    """An amount as a table shows it, rounded: `$8,214.06`, `$0.0402`, `12,500 tokens`.

    Money has two decimals from a dollar on and where it is whole cents; less than that shows four, and less than
    a hundredth of a cent all eight. What is not zero never reads as zero. `is_fine`, for columns of single calls,
    shows four below a dollar even for whole cents.
    """
    if unit != Unit.USD_MICROCENTS:
        return _count_text(amount, unit)
    size = abs(amount)
    if size >= MICROCENTS_PER_USD or size == 0 or (size % _MICROCENTS_PER_CENT == 0 and not is_fine):
        decimals = 2
    elif size >= 10_000:
        decimals = 4
    else:
        decimals = 8
    return _money_text(amount, f"¤#,##0.{'0' * decimals}")


def exact_amount_text(amount: int, unit: str) -> str:
    """An amount to the last digit, for sentences in which two close ones must not look equal: `$1.99999999`."""
    if unit != Unit.USD_MICROCENTS:
        return _count_text(amount, unit)
    return _money_text(amount, "¤#,##0.00######")


def displayed_text(amount: int, display: Display) -> str:
    """USD_MICROCENTS in another currency, rounded: `₹1,23,456.79`. From one on with its own decimals, below with more.

    The product is exact before it is rounded, and what is not zero never reads as zero.
    """
    # Written as text: `scaleb` would round to the digits of the context.
    value = Decimal(f"{amount * display.micros_per_usd}e-14")
    size = abs(value)
    if size >= 1 or size == 0:
        decimals = get_currency_precision(display.currency)
    else:
        decimals = next(places for places in (4, 8, 14) if size >= Decimal(1).scaleb(-places))
    return _currency_text(value, display.currency, decimals=decimals)


def unit_name(unit: str) -> str:
    """The unit as a word, for headings and sentences: `USD`, `tokens`."""
    return "USD" if unit == Unit.USD_MICROCENTS else _noun(2, unit)


def number_text(number: int) -> str:
    """A count with separators: `1,204`."""
    return str(format_decimal(number, locale=_LOCALE)).replace("-", _MINUS)


def counted_text(count: int, noun: str) -> str:
    """A count with what it counts: `1 run`, `1,204 runs`."""
    return f"{number_text(count)} {noun}" if abs(count) == 1 else f"{number_text(count)} {noun}s"


def share_text(ppm: int) -> str:
    """Parts per million as a percentage, to the last digit: `7%`, `4.9999%`."""
    return f"{Decimal(ppm).scaleb(-4).normalize():f}%".replace("-", _MINUS)


def _currency_text(value: Decimal, currency: str, *, decimals: int) -> str:
    locale = _LOCALES.get(currency, _LOCALE)
    # As `¤#,##,##0.00`, of which the part behind the point is for us to say.
    whole = locale.currency_formats["standard"].pattern.partition(".")[0]
    pattern = f"{whole}.{'0' * decimals}" if decimals else whole
    text = format_currency(value, currency, format=pattern, locale=locale, currency_digits=False)
    return str(text).replace("-", _MINUS)


def _money_text(amount: int, pattern: str) -> str:
    usd = Decimal(amount) / MICROCENTS_PER_USD
    return str(format_currency(usd, "USD", format=pattern, locale=_LOCALE, currency_digits=False)).replace("-", _MINUS)


def _count_text(amount: int, unit: str) -> str:
    return f"{number_text(amount)} {_noun(amount, unit)}"


def _noun(amount: int, unit: str) -> str:
    try:
        one, many = _NOUNS[Unit(unit)]
    except (KeyError, ValueError):
        return unit
    return one if abs(amount) == 1 else many

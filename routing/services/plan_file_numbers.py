"""Numbers of a budget table's file: exact, from zero up, and of a size that somebody may have meant."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

_AMOUNT_MAX: Final = Decimal(10**12)
_DECIMALS_MAX: Final = 12
_MICROCENTS_PER_USD: Final = 10**8


class InvalidPlan(Exception):
    """The file is no budget table; the text names the place and says what to mend."""


def optional(number: Decimal | None, at: str) -> Fraction | None:
    return None if number is None else amount(number, at)


def amount(number: Decimal, at: str) -> Fraction:
    """A number from zero up, of a size that somebody may have meant."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or (number.is_signed() and number != 0) or number > _AMOUNT_MAX:
        raise InvalidPlan(f"{at} must be a number from 0 to {shown(Fraction(_AMOUNT_MAX))}.")
    if exponent < -_DECIMALS_MAX:
        raise InvalidPlan(f"{at} must have at most {_DECIMALS_MAX} decimals.")
    return Fraction(number)


def milliseconds(seconds: Decimal, at: str) -> int:
    return _whole(amount(seconds, at) * 1000, at, "whole milliseconds")


def microcents(usd: Decimal, at: str) -> int:
    return _whole(amount(usd, at) * _MICROCENTS_PER_USD, at, "at most 8 decimals")


def _whole(number: Fraction, at: str, must: str) -> int:
    if number.denominator != 1:
        raise InvalidPlan(f"{at} must have {must}.")
    return number.numerator


def shown(number: Fraction) -> str:
    return f"{float(number):.15g}"

"""Amounts as people type them and as spreadsheets take them: `500.00` of USD, whole numbers of everything else."""

import re
from decimal import Decimal
from typing import Final

from kernel.money import AMOUNT_MAX, Unit

_DECIMALS: Final = 8
_USD: Final = re.compile(r"\$?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d{1,8})?)", re.ASCII)
_COUNT: Final = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)", re.ASCII)
_LENGTH_MAX: Final = 40


class NotAnAmount(Exception):
    """The text is no amount above zero. It ends a sentence that begins with the name of the field."""


class PlainNumber(Decimal):
    """A number that is always written out, never as `4.1E-7`."""

    def __str__(self) -> str:
        return format(self, "f")


def read_amount(text: str, unit: str) -> int:
    """The amount in `unit` that `text` stands for: `500.00`, `$1,250`, `12,500`. Raises `NotAnAmount`."""
    typed = text.strip()
    is_money = unit == Unit.USD_MICROCENTS
    match = (_USD if is_money else _COUNT).fullmatch(typed) if len(typed) <= _LENGTH_MAX else None
    if match is None:
        raise NotAnAmount("a number like 500.00, with at most eight decimals" if is_money else "a whole number")
    plain = Decimal(match[1].replace(",", ""))
    amount = int(plain.scaleb(_DECIMALS)) if is_money else int(plain)
    if not 1 <= amount <= AMOUNT_MAX:
        raise NotAnAmount("more than nothing" if amount < 1 else "smaller than that")
    return amount


def plain_amount(amount: int | None, unit: str) -> PlainNumber | int | None:
    """The amount as a spreadsheet counts with it: USD with its decimals, other units whole."""
    if amount is None or unit != Unit.USD_MICROCENTS:
        return amount
    return PlainNumber(f"{Decimal(amount).scaleb(-_DECIMALS):.8f}")


def typed_amount(amount: int, unit: str) -> str:
    """The amount as somebody would type it into a field: `500.00`, `12500`."""
    if unit != Unit.USD_MICROCENTS:
        return str(amount)
    whole, _, decimals = f"{Decimal(amount).scaleb(-_DECIMALS):.8f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"

"""From usage and a price to an amount: line by line, in whole USD_MICROCENTS. The lines add up to the total."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from kernel.money import AMOUNT_MAX
from routing.pricing.fallback import FALLBACK_PRICE, FALLBACK_TOOL_FEE
from routing.pricing.kinds import Kind, Mode
from routing.pricing.price import TOKENS_PER_RATE, Price, PriceSource, divided_half_even
from routing.pricing.usage import Usage

PER_CALL: Final = "per_call"
TOOL: Final = "tool"


class Rounding(StrEnum):
    """RESERVE rounds every line up, so that a hold is never short; SETTLE rounds half to even."""

    RESERVE = "reserve"
    SETTLE = "settle"


class AmountTooLarge(Exception):
    """The usage at this price is more than 64 bits hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine:
    """`unit_price` is for `per` of what `quantity` counts; `is_fallback`: the price knew nothing of it."""

    kind: str
    name: str
    quantity: int
    unit_price: int
    per: int
    amount: int
    is_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a ledger entry keeps of a price. `warnings` are sentences for whoever looks at the entry."""

    lines: tuple[ChargeLine, ...]
    total: int
    provider: str
    model: str
    mode: Mode
    is_long: bool
    source: PriceSource
    version: str
    warnings: tuple[str, ...]

    @property
    def is_fallback(self) -> bool:
        """Whether any part was charged at a fallback price: somebody must look at it."""
        return self.source == PriceSource.FALLBACK or any(line.is_fallback for line in self.lines)

    def as_document(self) -> dict[str, Any]:
        """Unit prices, their source and version: what is written beside the amount."""
        return {
            "provider": self.provider,
            "model": self.model,
            "mode": self.mode,
            "is_long": self.is_long,
            "source": self.source,
            "version": self.version,
            "is_fallback": self.is_fallback,
            "total": self.total,
            "lines": [
                {
                    "kind": line.kind,
                    "name": line.name,
                    "quantity": line.quantity,
                    "unit_price": line.unit_price,
                    "per": line.per,
                    "amount": line.amount,
                    "is_fallback": line.is_fallback,
                }
                for line in self.lines
            ],
            "warnings": list(self.warnings),
        }


def price_usage(usage: Usage, price: Price, *, rounding: Rounding, requested_at: datetime) -> Charge:
    """What `usage` costs. `requested_at` is when the call was made: a price of another time is used, and warned of.

    Tokens or tools that the price does not know are charged at the fallback's rates and flagged, never at zero.
    Raises `AmountTooLarge`.
    """
    is_long = price.is_long(usage.input_tokens)
    lines = (
        *_token_lines(usage, price, is_long=is_long, rounding=rounding),
        *_call_lines(price),
        *_tool_lines(usage, price),
    )
    total = sum(line.amount for line in lines)
    if total > AMOUNT_MAX:
        raise AmountTooLarge
    return Charge(
        lines=lines,
        total=total,
        provider=price.provider,
        model=price.model,
        mode=usage.mode,
        is_long=is_long,
        source=price.source,
        version=price.version,
        warnings=tuple(_warnings(price, requested_at)),
    )


def price_hold(
    *, input_tokens: int, output_tokens: int, price: Price, requested_at: datetime, mode: Mode = Mode.STANDARD
) -> Charge:
    """What to hold for a call that may take so many tokens: all output at the dearer of output and reasoning."""
    is_long = price.is_long(input_tokens)
    rates = {kind: price.rate(kind, mode=mode, is_long=is_long) for kind in (Kind.OUTPUT, Kind.REASONING)}
    dearest = max(rates, key=lambda kind: rates[kind] or 0)
    usage = Usage(tokens=_present({Kind.INPUT: input_tokens, dearest: output_tokens}), mode=mode)
    return price_usage(usage, price, rounding=Rounding.RESERVE, requested_at=requested_at)


def _present(tokens: dict[Kind, int]) -> dict[Kind, int]:
    return {kind: count for kind, count in tokens.items() if count}


def _token_lines(usage: Usage, price: Price, *, is_long: bool, rounding: Rounding) -> Iterator[ChargeLine]:
    for kind in Kind:
        quantity = usage.tokens.get(kind, 0)
        if not quantity:
            continue
        rate = price.rate(kind, mode=usage.mode, is_long=is_long)
        unit_price = _fallback_rate(kind) if rate is None else rate
        yield ChargeLine(
            kind=kind,
            name="",
            quantity=quantity,
            unit_price=unit_price,
            per=TOKENS_PER_RATE,
            amount=_amount(quantity * unit_price, rounding),
            is_fallback=rate is None,
        )


def _fallback_rate(kind: Kind) -> int:
    rate = FALLBACK_PRICE.rate(kind)
    assert rate is not None
    return rate


def _amount(product: int, rounding: Rounding) -> int:
    if rounding == Rounding.RESERVE:
        return -(-product // TOKENS_PER_RATE)
    return divided_half_even(product, TOKENS_PER_RATE)


def _call_lines(price: Price) -> Iterator[ChargeLine]:
    if price.per_call:
        yield ChargeLine(kind=PER_CALL, name="", quantity=1, unit_price=price.per_call, per=1, amount=price.per_call)


def _tool_lines(usage: Usage, price: Price) -> Iterator[ChargeLine]:
    for tool, calls in sorted(usage.hosted_tools.items()):
        fee = price.tool_fees.get(tool)
        unit_price = FALLBACK_TOOL_FEE if fee is None else fee
        yield ChargeLine(
            kind=TOOL,
            name=tool,
            quantity=calls,
            unit_price=unit_price,
            per=1,
            amount=calls * unit_price,
            is_fallback=fee is None,
        )


def _warnings(price: Price, requested_at: datetime) -> Iterator[str]:
    if price.source == PriceSource.FALLBACK:
        yield f"{price.provider}:{price.model} has no price; the fallback was charged."
    if price.effective_from is not None and requested_at < price.effective_from:
        yield (
            f"The price is from {price.effective_from:%Y-%m-%d}, later than the call of {requested_at:%Y-%m-%d}:"
            " a call is charged at the price of its own time."
        )
    if price.effective_until is not None and requested_at >= price.effective_until:
        yield (
            f"The price ended on {price.effective_until:%Y-%m-%d}, before the call of {requested_at:%Y-%m-%d}:"
            " a call is charged at the price of its own time."
        )

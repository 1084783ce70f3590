"""The price of a model: whole USD_MICROCENTS per 1,000,000 tokens, and per call."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from routing.pricing.kinds import PRICED_AS, Kind, Mode

#: Tokens that a rate is for.
TOKENS_PER_RATE: Final = 10**6
#: What keeps every product of tokens and rates inside 64 bits: USD 100,000 for 1,000,000 tokens, and for a call.
RATE_MAX: Final = 10**13
_PPM: Final = 10**6

#: Rates by mode; those of long requests stand under the mode's name with this ending.
LONG_SUFFIX: Final = "_long"


class PriceSource(StrEnum):
    """Where a price comes from, the one that wins first."""

    CONTRACT = "contract"
    MULTIPLIER = "multiplier"
    PLATFORM = "platform"
    LIST = "list"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """`rates`: mode, or mode + `_long`, to kind to rate. A mode's rates go before those of `standard`.

    A request with more than `long_context_from` input tokens is long, and all of it is charged as long: a cliff.
    `effective_from` and `effective_until` are None where the price has no beginning or no end; the end is exclusive.
    `version` names the row that the price comes from.
    """

    provider: str
    model: str
    source: PriceSource
    version: str
    rates: Mapping[str, Mapping[str, int]]
    long_context_from: int | None = None
    per_call: int = 0
    tool_fees: Mapping[str, int] = field(default_factory=dict)
    effective_from: datetime | None = None
    effective_until: datetime | None = None
    context_window: int | None = None
    aliases: tuple[str, ...] = ()

    def is_long(self, input_tokens: int) -> bool:
        return self.long_context_from is not None and input_tokens > self.long_context_from

    def rate(self, kind: Kind, *, mode: Mode = Mode.STANDARD, is_long: bool = False) -> int | None:
        """USD_MICROCENTS per 1,000,000 tokens; None where the price knows no such tokens, as an embedding no output."""
        tables = [self.rates.get(name) for name in _tables(mode, is_long=is_long)]
        wanted: Kind | None = kind
        while wanted is not None:
            for table in tables:
                if table is not None and wanted in table:
                    return table[wanted]
            wanted = PRICED_AS.get(wanted)
        return None

    def is_effective(self, at: datetime) -> bool:
        return (self.effective_from is None or self.effective_from <= at) and (
            self.effective_until is None or at < self.effective_until
        )

    def times(self, ppm: int) -> "Price":
        """The same price with every rate and fee multiplied, in parts per million and rounded half to even."""
        return replace(
            self,
            source=PriceSource.MULTIPLIER,
            rates={
                mode: {kind: scaled(rate, ppm) for kind, rate in table.items()} for mode, table in self.rates.items()
            },
            per_call=scaled(self.per_call, ppm),
            tool_fees={tool: scaled(fee, ppm) for tool, fee in self.tool_fees.items()},
        )

    def as_document(self) -> dict[str, Any]:
        """The price for a ruleset: the standard rates flat, for SQL, and everything else beside them."""
        flat: dict[str, Any] = {
            kind: rate
            for kind in (Kind.INPUT, Kind.OUTPUT, Kind.CACHED_INPUT, Kind.CACHE_WRITE, Kind.REASONING)
            if (rate := self.rate(kind)) is not None
        }
        if self.long_context_from is not None:
            flat["long_context_from"] = self.long_context_from
            flat |= {f"long_{kind}": self.rate(kind, is_long=True) for kind in (Kind.INPUT, Kind.OUTPUT)}
        return flat | {
            "per_call": self.per_call,
            "version": self.version,
            "source": self.source,
            "modes": {mode: dict(table) for mode, table in self.rates.items()},
            "tool_fees": dict(self.tool_fees),
            "effective_from": None if self.effective_from is None else self.effective_from.isoformat(),
            "effective_until": None if self.effective_until is None else self.effective_until.isoformat(),
        }


def price_of_document(document: Mapping[str, Any], *, provider: str, model: str) -> Price:
    """The inverse of `Price.as_document`, without the window and the aliases."""
    return Price(
        provider=provider,
        model=model,
        source=PriceSource(document["source"]),
        version=document["version"],
        rates=document["modes"],
        long_context_from=document.get("long_context_from"),
        per_call=document["per_call"],
        tool_fees=document["tool_fees"],
        effective_from=_moment(document.get("effective_from")),
        effective_until=_moment(document.get("effective_until")),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _tables(mode: Mode, *, is_long: bool) -> tuple[str, ...]:
    """The tables to look into, the first that knows a kind decides."""
    names = (mode, Mode.STANDARD) if mode != Mode.STANDARD else (mode,)
    return tuple(
        table for name in names for table in ((f"{name}{LONG_SUFFIX}", str(name)) if is_long else (str(name),))
    )


def scaled(amount: int, ppm: int) -> int:
    """`amount` times `ppm` parts per million, rounded half to even."""
    return divided_half_even(amount * ppm, _PPM)


def divided_half_even(dividend: int, divisor: int) -> int:
    """The quotient of integers from zero up, a half going to the even side."""
    quotient, rest = divmod(dividend, divisor)
    twice = 2 * rest
    return quotient + (twice > divisor or (twice == divisor and quotient % 2 == 1))

"""From the source's decimals to our whole rates: which of its lines we charge, and what we cannot represent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from genai_prices import types as source

from kernel.money import AMOUNT_MAX
from routing.pricing.kinds import Kind, Mode
from routing.pricing.price import LONG_SUFFIX, RATE_MAX

_MICROCENTS_PER_USD: Final = Decimal(10**8)
_KINDS: Final = {
    "input_mtok": Kind.INPUT,
    "cache_read_mtok": Kind.CACHED_INPUT,
    "cache_write_mtok": Kind.CACHE_WRITE,
    "cache_write_1h_mtok": Kind.CACHE_WRITE_1H,
    "input_audio_mtok": Kind.INPUT_AUDIO,
    "cache_audio_read_mtok": Kind.CACHED_AUDIO,
    "input_image_mtok": Kind.INPUT_IMAGE,
    "cache_image_read_mtok": Kind.CACHED_IMAGE,
    "output_mtok": Kind.OUTPUT,
    "output_reasoning_mtok": Kind.REASONING,
    "output_audio_mtok": Kind.OUTPUT_AUDIO,
    "output_image_mtok": Kind.OUTPUT_IMAGE,
}
_TOOLS: Final = {"web_searches_kcount": "web_search", "storage_searches_kcount": "file_search"}
_PER_CALL: Final = "requests_kcount"
_CALLS_PER_FEE: Final = 1000
#: The source's words for a variant, and the mode that we know it by; `default` changes nothing.
_MODES: Final = {
    ("processing", "batch"): Mode.BATCH,
    ("service_tier", "flex"): Mode.FLEX,
    ("service_tier", "priority"): Mode.PRIORITY,
    ("service_tier", "fast"): Mode.FAST,
    ("speed", "fast"): Mode.FAST,
}

type _Line = Decimal | source.TieredPrices
type _Lines = Mapping[str, _Line]


class NotPriceable(Exception):
    """The source's price says what we have no line for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A price without its name and dates: what is compared to see whether anything changed."""

    rates: Mapping[str, Mapping[str, int]]
    long_context_from: int | None
    per_call: int
    tool_fees: Mapping[str, int]
    notes: str


def terms_of(model: source.ModelInfo, *, at: datetime | None) -> Terms:
    """What the source charges from the moment `at` on, or before its first date. Raises `NotPriceable`.

    A price that depends on the hour of the day is taken at its dearest: a hold must do for every hour.
    """
    lines, notes = _standard(model, at)
    if not lines:
        raise NotPriceable("the source lists no price")
    unknown = sorted(name for name in lines if name not in _KINDS | _TOOLS | {_PER_CALL: ""})
    if not lines.keys() & {"input_mtok", "output_mtok", _PER_CALL}:
        raise NotPriceable(f"it is charged by {', '.join(unknown) or 'tools alone'}")
    if unknown:
        notes.append(f"Not charged: {', '.join(unknown)}.")
    variants = list(_variants(model, at))
    thresholds = {tier.start for each in [lines, *(variant for _, variant in variants)] for tier in _tiers(each)}
    if len(thresholds) > 1:
        raise NotPriceable("it has several steps for long requests")
    rates = _tables(Mode.STANDARD, lines)
    for mode, variant in variants:
        # The first variant of a mode decides, as in the source.
        rates = _tables(mode, variant) | rates
    return Terms(
        rates=rates,
        long_context_from=next(iter(thresholds), None),
        per_call=_fee(lines, _PER_CALL),
        tool_fees={tool: _fee(lines, name) for name, tool in _TOOLS.items() if name in lines},
        notes=" ".join(notes),
    )


def _standard(model: source.ModelInfo, at: datetime | None) -> tuple[_Lines, list[str]]:
    if isinstance(model.prices, source.ModelPrice):
        return _lines(model.prices), []
    dated = [price for price in model.prices if _is_dated_before(price.constraint, at)]
    lines = _lines(dated[-1].prices) if dated else {}
    by_hour = [price for price in model.prices if isinstance(price.constraint, source.TimeOfDateConstraint)]
    for price in by_hour:
        lines = _dearest(lines, _lines(price.prices))
    return lines, ["The price changes with the hour; the dearest is charged."] if by_hour else []


def _variants(model: source.ModelInfo, at: datetime | None) -> Iterator[tuple[Mode, _Lines]]:
    for variant in model.price_variants or []:
        mode = _MODES.get(next(iter(variant.when.items())))
        if len(variant.when) == 1 and mode is not None and _is_dated_before(variant.constraint, at):
            yield mode, _lines(variant.prices)


def _is_dated_before(constraint: object, at: datetime | None) -> bool:
    """Whether a price with this constraint is in force at `at`, by its date; None is before every date."""
    if constraint is None:
        return True
    if not isinstance(constraint, source.StartDateConstraint) or at is None:
        return False
    return constraint.start_date <= at.date()


def _lines(price: source.ModelPrice) -> _Lines:
    return {name: line for name, line in vars(price).items() if line is not None}


def _dearest(lines: _Lines, others: _Lines) -> _Lines:
    if any(isinstance(line, source.TieredPrices) for line in [*lines.values(), *others.values()]):
        raise NotPriceable("it changes with the hour and has a step for long requests")
    dearest = dict(lines)
    for name, line in others.items():
        before = dearest.get(name)
        assert isinstance(line, Decimal)
        dearest[name] = max(before, line) if isinstance(before, Decimal) else line
    return dearest


def _tables(mode: Mode, lines: _Lines) -> dict[str, dict[str, int]]:
    base: dict[str, int] = {}
    long: dict[str, int] = {}
    for name, kind in _KINDS.items():
        line = lines.get(name)
        if isinstance(line, source.TieredPrices):
            base[kind] = _rate(line.base)
            # More than one step was refused before.
            long[kind] = _rate(line.tiers[-1].price)
        elif line is not None:
            base[kind] = _rate(line)
    return {mode: base} | ({f"{mode}{LONG_SUFFIX}": long} if long else {})


def _tiers(lines: _Lines) -> Iterator[source.Tier]:
    for line in lines.values():
        if isinstance(line, source.TieredPrices):
            yield from line.tiers


def _fee(lines: _Lines, name: str) -> int:
    line = lines.get(name, Decimal(0))
    if isinstance(line, source.TieredPrices):
        raise NotPriceable(f"{name} has steps")
    return _whole(line * _MICROCENTS_PER_USD / _CALLS_PER_FEE, at_most=AMOUNT_MAX)


def _rate(usd: Decimal) -> int:
    return _whole(usd * _MICROCENTS_PER_USD, at_most=RATE_MAX)


def _whole(number: Decimal, *, at_most: int) -> int:
    """Rounded half to even: a few prices were computed as floats and carry their dust."""
    if not number.is_finite() or not 0 <= number <= at_most:
        raise NotPriceable("a price is out of bounds")
    return round(number)

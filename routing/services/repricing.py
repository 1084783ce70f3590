"""Pricing a settled call anew: what its own usage costs by the book as it says now of the moment of the call.

The usage is what the ledger entry keeps beside its amount; nobody has to send it again. A call is charged at the price
of its own time; whoever prices an old one is warned where that price is no longer the one in force.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from budgets.selectors.charges import ChargeRecord, charge_record
from budgets.services.corrections import ChargeNotFound, Corrected, Correction, NothingToCorrect, correct_charge
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.money import Unit
from kernel.tenancy import in_tenant
from routing.pricing.book import TOOL_PROVIDER, ModelUnknown, PriceBook
from routing.pricing.charge import TOOL, Charge, ChargeLine, Rounding, price_usage
from routing.pricing.kinds import Kind, Mode
from routing.pricing.price import LONG_SUFFIX, Price
from routing.pricing.usage import Usage
from routing.selectors.prices import model_prices

_KINDS: Final = frozenset(Kind)


class NotPriced(Exception):
    """The charge was booked as an amount, without a model's usage: there is nothing to price. Correct the amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repricing:
    """Which charge. `requested_at` is when the call was made, if not when its reservation was: a batch waits for hours.

    `mode` is how it was served, where the entry has it wrong.
    """

    seq: int
    idempotency_key: str
    requested_at: datetime | None = None
    mode: Mode | None = None

    @property
    def request(self) -> tuple[str | None, ...]:
        """What the idempotency key stands for: prices may change between a request and its repetition."""
        return "reprice", None if self.requested_at is None else self.requested_at.isoformat(), self.mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What the call costs anew, beside what it was booked at. `price` is what an entry would keep of it."""

    record: ChargeRecord
    amount: int
    price: Mapping[str, Any]

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.price["warnings"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Repriced:
    """`corrected` is None where the call costs what it was booked at, and nothing was written."""

    corrected: Corrected | None
    amount: int
    warnings: tuple[str, ...]


def quote(*, tag: Tag, repricing: Repricing, now: datetime) -> Quote:
    """Price the call anew and change nothing. Raises `ChargeNotFound`, `NotPriced` or `AmountTooLarge`."""
    with in_tenant(tag):
        record = charge_record(repricing.seq)
    if record is None:
        raise ChargeNotFound(str(repricing.seq))
    if record.price is None or record.unit != Unit.USD_MICROCENTS or "lines" not in record.price:
        raise NotPriced
    requested_at = repricing.requested_at or record.asked_at
    provider, model = record.price["provider"], record.price["model"]
    mode = repricing.mode or Mode(record.price["mode"])
    models = [(provider, model), *((TOOL_PROVIDER, line["name"]) for line in _tool_lines(record.price))]
    book = model_prices(models=models, at=requested_at, tag=tag)
    price = book.price_or_fallback(provider=provider, model=model)
    today = model_prices(models=[(provider, model)], at=now, tag=tag)
    charge = _charge(record.price, price, book, mode=mode, requested_at=requested_at)
    current = today.price_or_fallback(provider=provider, model=model)
    warnings = (*charge.warnings, *_warnings(price, current, mode=mode, requested_at=requested_at))
    charge = replace(charge, warnings=warnings)
    # What is not a price goes on with the charge: the provider's own cost, the response's id.
    return Quote(record=record, amount=charge.total, price={**record.price, **charge.as_document()})


def reprice_charge(*, tag: Tag, repricing: Repricing, actor: Actor, now: datetime) -> Repriced:
    """Correct a charge to what its call costs at the price of its own time, once for a key.

    Raises as `quote` and `correct_charge`.
    """
    found = quote(tag=tag, repricing=repricing, now=now)
    correction = Correction(
        seq=repricing.seq,
        unit=Unit.USD_MICROCENTS,
        amount=found.amount,
        idempotency_key=repricing.idempotency_key,
        price=found.price,
        request=repricing.request,
    )
    try:
        with in_tenant(tag):
            corrected = correct_charge(correction=correction, actor=actor)
    except NothingToCorrect:
        return Repriced(corrected=None, amount=found.amount, warnings=found.warnings)
    # A repeated request gets the first answer, whatever the book says by now.
    return Repriced(
        corrected=corrected, amount=corrected.amount, warnings=tuple((corrected.price or {}).get("warnings", ()))
    )


def _charge(booked: Mapping[str, Any], price: Price, book: PriceBook, *, mode: Mode, requested_at: datetime) -> Charge:
    tokens = {Kind(line["kind"]): line["quantity"] for line in booked["lines"] if line["kind"] in _KINDS}
    by_runtime = {
        line["name"]: fee
        for line in _tool_lines(booked)
        if line["name"] not in price.tool_fees and (fee := _tool_fee(book, line["name"])) is not None
    }
    hosted = {line["name"]: line["quantity"] for line in _tool_lines(booked) if line["name"] not in by_runtime}
    usage = Usage(tokens=tokens, mode=mode, hosted_tools=hosted)
    charge = price_usage(usage, price, rounding=Rounding.SETTLE, requested_at=requested_at)
    lines = tuple(
        ChargeLine(
            kind=TOOL, name=name, quantity=line["quantity"], unit_price=fee, per=1, amount=line["quantity"] * fee
        )
        for line in _tool_lines(booked)
        if (fee := by_runtime.get(name := line["name"])) is not None
    )
    return replace(charge, lines=(*charge.lines, *lines), total=charge.total + sum(line.amount for line in lines))


def _tool_lines(booked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [line for line in booked["lines"] if line["kind"] == TOOL]


def _tool_fee(book: PriceBook, tool: str) -> int | None:
    """The fee of a tool that the runtime ran itself; None for one of the provider's."""
    try:
        return book.price(provider=TOOL_PROVIDER, model=tool).per_call
    except ModelUnknown:
        return None


def _warnings(price: Price, current: Price, *, mode: Mode, requested_at: datetime) -> Iterator[str]:
    if price.version != current.version:
        yield (
            f"The price of the call's day, {requested_at:%Y-%m-%d}, is no longer the one in force;"
            " the call is charged at the price of its own time."
        )
    if mode != Mode.STANDARD and not {mode, f"{mode}{LONG_SUFFIX}"} & price.rates.keys():
        yield f"The price names no {mode} rates; the call is charged at the standard ones."

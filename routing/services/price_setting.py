"""Prices that people set: the platform's own, a tenant's contract, a tool's fee, and a tenant's multiplier."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from psycopg.types.range import TimestamptzRange

from kernel.actor import Actor
from kernel.ids import Tag, uuid7
from kernel.tenancy import in_public
from routing.models import Layer, PriceMultiplier, PriceVersion
from routing.pricing.book import TOOL_PROVIDER
from routing.pricing.kinds import Kind, Mode
from routing.pricing.names import NAME_LENGTH_MAX
from routing.pricing.price import LONG_SUFFIX, RATE_MAX
from routing.services.price_approval import save_price
from routing.services.rulesets import publish_rulesets
from telemetry.services import audit

_TABLES: Final = {f"{mode}{suffix}" for mode in Mode for suffix in ("", LONG_SUFFIX)}
_PPM_MIN: Final = 1_000
_PPM_MAX: Final = 10**9


class InvalidPrice(Exception):
    """The price cannot be used; the text says what to mend and repeats no value."""


class MultiplierDatesOverlap(Exception):
    """The tenant has another multiplier for the provider at some of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrice:
    """`tag` makes it the tenant's contract; else it is the platform's own, for everybody. `rates` as in `Price`.

    `effective_until` is not included; None for either date: no beginning, no end.
    """

    provider: str
    model: str
    rates: Mapping[str, Mapping[str, int]]
    tag: Tag | None = None
    long_context_from: int | None = None
    per_call: int = 0
    tool_fees: Mapping[str, int] = field(default_factory=dict)
    effective_from: datetime | None
    effective_until: datetime | None = None


def set_price(new: NewPrice, *, actor: Actor, now: datetime, replaces: bool = False) -> PriceVersion:
    """Put `new` in force. Raises `InvalidPrice`, and `PriceDatesOverlap` unless it `replaces` what was there."""
    _check(new)
    version = PriceVersion(
        id=uuid7(),
        layer=Layer.CONTRACT if new.tag else Layer.PLATFORM,
        tenant_tag=new.tag or "",
        provider=new.provider.lower(),
        model=new.model.lower(),
        rates={table: dict(rates) for table, rates in new.rates.items()},
        long_context_from=new.long_context_from,
        per_call=new.per_call,
        tool_fees=dict(new.tool_fees),
        effective=TimestamptzRange(new.effective_from, new.effective_until, "[)"),
        source="manual",
        source_version=f"{now:%Y-%m-%d}",
    )
    return save_price(version, replaces=replaces, actor=actor, now=now)


def set_tool_price(
    *,
    tool: str,
    fee: int,
    effective_from: datetime | None,
    actor: Actor,
    now: datetime,
    tag: Tag | None = None,
    replaces: bool = False,
) -> PriceVersion:
    """What a call of a tool that runtimes run costs, in USD_MICROCENTS. Raises as `set_price`."""
    new = NewPrice(
        provider=TOOL_PROVIDER,
        model=tool,
        tag=tag,
        rates={Mode.STANDARD: {}},
        per_call=fee,
        effective_from=effective_from,
    )
    return set_price(new, actor=actor, now=now, replaces=replaces)


def set_multiplier(
    *, tag: Tag, ppm: int, effective_from: datetime, actor: Actor, now: datetime, provider: str = ""
) -> PriceMultiplier:
    """Multiply the tenant's prices of a provider, or of all, from then on; ends the multiplier before it.

    Raises `InvalidPrice`, and `MultiplierDatesOverlap` when a later one is set already.
    """
    if not _PPM_MIN <= ppm <= _PPM_MAX:
        raise InvalidPrice("A multiplier must be from a thousandth to a thousandfold.")
    provider = provider.lower()
    try:
        with in_public(), transaction.atomic():
            mine = PriceMultiplier.objects.select_for_update().filter(tenant_tag=tag, provider=provider)
            before = mine.filter(effective__contains=effective_from).first()
            if before is not None and before.effective.lower == effective_from:
                raise MultiplierDatesOverlap("The tenant has a multiplier from that moment on already.")
            if before is not None:
                before.effective = TimestamptzRange(before.effective.lower, effective_from, "[)")
                before.save(update_fields=["effective"])
            multiplier = PriceMultiplier.objects.create(
                id=uuid7(),
                tenant_tag=tag,
                provider=provider,
                ppm=ppm,
                effective=TimestamptzRange(effective_from, None, "[)"),
                set_at=now,
                set_by=actor.name,
            )
            audit.record(
                actor=actor,
                action="price.multiplied",
                target=f"{tag} {provider or 'all providers'}",
                at=now,
                before=None if before is None else {"ppm": before.ppm},
                after={"ppm": ppm, "effective_from": effective_from.isoformat()},
            )
    except IntegrityError as error:
        if "multipliers_do_not_overlap" not in str(error):
            raise
        raise MultiplierDatesOverlap("The tenant has a later multiplier for the provider.") from None
    publish_rulesets([tag], actor=actor)
    return multiplier


def _check(new: NewPrice) -> None:
    for name, text in (("provider", new.provider), ("model", new.model)):
        if not 0 < len(text) <= NAME_LENGTH_MAX or not text.isprintable() or text != text.strip():
            raise InvalidPrice(f"The {name} must be a name of 1 to {NAME_LENGTH_MAX} characters.")
    if Mode.STANDARD not in new.rates or not set(new.rates) <= _TABLES:
        raise InvalidPrice("The rates need a table `standard`, and may have others for modes and long requests.")
    if any(table.endswith(LONG_SUFFIX) for table in new.rates) != (new.long_context_from is not None):
        raise InvalidPrice("Rates for long requests and the size from which a request is long go together.")
    if any(kind not in set(Kind) for rates in new.rates.values() for kind in rates):
        raise InvalidPrice("A rate is for something that is not charged.")
    numbers: list[Any] = [rate for rates in new.rates.values() for rate in rates.values()]
    numbers += [new.per_call, *new.tool_fees.values()]
    if any(
        isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= RATE_MAX for number in numbers
    ):
        raise InvalidPrice(f"Rates and fees must be whole numbers from 0 to {RATE_MAX}.")
    if not any(new.rates.values()) and not new.per_call and new.provider != TOOL_PROVIDER:
        raise InvalidPrice("The price charges nothing for anything; a free model has rates of 0.")
    if new.long_context_from is not None and new.long_context_from < 1:
        raise InvalidPrice("The size from which a request is long must be above zero.")
    if new.effective_from and new.effective_until and new.effective_until <= new.effective_from:
        raise InvalidPrice("The price must end after it begins.")

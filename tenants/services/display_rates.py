"""Setting the rates by which pages show amounts. They change nothing that is booked."""

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from babel.numbers import list_currencies
from django.db import transaction

from kernel.actor import Actor
from kernel.money import AMOUNT_MAX
from kernel.tenancy import in_public
from telemetry.services import audit
from tenants.models import DisplayRate

_MICROS: Final = 10**6
_SOURCE_LENGTH_MAX: Final = 100


class InvalidDisplayRate(Exception):
    """Not a rate that pages could show amounts by; the text is a sentence."""


def micros_of(rate: Decimal) -> int:
    """A rate in millionths. Raises `InvalidDisplayRate` for one that is not positive, too large or finer than that."""
    # `Decimal` also reads infinity and what is no number at all.
    if not rate.is_finite() or rate <= 0 or rate > Decimal(AMOUNT_MAX) / _MICROS:
        raise InvalidDisplayRate("A rate is a positive number of the currency for 1 USD.")
    exponent = rate.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -6:
        raise InvalidDisplayRate("A rate has six decimals at most.")
    return int(rate * _MICROS)


def set_display_rate(
    *, currency: str, micros_per_usd: int, as_of: date, source: str, actor: Actor, now: datetime
) -> None:
    """From now on pages may show amounts in `currency`, at this rate of this day. Raises `InvalidDisplayRate`."""
    if currency == "USD":
        raise InvalidDisplayRate("Amounts are in USD anyway.")
    if currency not in list_currencies():
        raise InvalidDisplayRate(f"{currency} is no currency; name it by its three capital letters, as INR.")
    if not 0 < micros_per_usd <= AMOUNT_MAX:
        raise InvalidDisplayRate("A rate is a positive number of the currency for 1 USD.")
    if as_of > now.date():
        raise InvalidDisplayRate(f"{as_of} is yet to come.")
    source = source.strip()
    if not source or len(source) > _SOURCE_LENGTH_MAX:
        raise InvalidDisplayRate(f"Say who says so, in 1 to {_SOURCE_LENGTH_MAX} characters.")
    with in_public(), transaction.atomic():
        DisplayRate.objects.create(
            currency=currency, micros_per_usd=micros_per_usd, as_of=as_of, source=source, set_at=now
        )
        audit.record(
            actor=actor,
            action="display_rate.set",
            target=currency,
            at=now,
            after={"micros_per_usd": micros_per_usd, "as_of": as_of.isoformat(), "source": source},
        )

"""Versions of one model's price on the line of time."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from psycopg.types.range import TimestamptzRange

from routing.models import PriceStatus, PriceVersion
from routing.services.price_source_rates import Terms


def terms_in(version: PriceVersion) -> Terms:
    """The terms of a stored version."""
    return Terms(
        rates=version.rates,
        long_context_from=version.long_context_from,
        per_call=version.per_call,
        tool_fees=version.tool_fees,
        notes=version.notes,
    )


def approved(versions: Iterable[PriceVersion]) -> list[PriceVersion]:
    return [version for version in versions if version.status == PriceStatus.APPROVED]


def waiting_since(versions: Iterable[PriceVersion], terms: Terms) -> datetime | None:
    """The beginning that an earlier import gave the same change, so that repeating it finds the same proposal."""
    decided = (PriceStatus.PROPOSED, PriceStatus.REJECTED)
    return next(
        (version.effective.lower for version in versions if version.status in decided and terms_in(version) == terms),
        None,
    )


def in_force(versions: Iterable[PriceVersion], at: datetime) -> PriceVersion | None:
    return next((version for version in versions if holds(version.effective, at)), None)


def holds(effective: TimestamptzRange, at: datetime) -> bool:
    return (effective.lower is None or effective.lower <= at) and (effective.upper is None or at < effective.upper)


def says_the_same(versions: list[PriceVersion], terms: Terms, effective: TimestamptzRange) -> bool:
    """Whether the book charges `terms` from the beginning of `effective` to its end, in one stretch or several."""
    at = effective.lower
    for version in _in_order(versions):
        reaches = version.effective.lower is None if at is None else holds(version.effective, at)
        if not reaches:
            continue
        if terms_in(version) != terms:
            return False
        at = version.effective.upper
        if at is None or (effective.upper is not None and at >= effective.upper):
            return True
    return False


def _in_order(versions: list[PriceVersion]) -> Iterator[PriceVersion]:
    yield from sorted(
        versions,
        key=lambda version: (version.effective.lower is not None, version.effective.lower or version.proposed_at),
    )

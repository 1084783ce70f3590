"""Deciding on prices: approving what was proposed, rejecting it, setting one's own. Each with its audit entry."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from psycopg.types.range import TimestamptzRange

from kernel.actor import Actor
from kernel.ids import Tag, uuid7
from kernel.tenancy import in_public
from routing.models import PriceStatus, PriceVersion
from routing.services.rulesets import publish_all, publish_rulesets
from telemetry.services import audit

_OVERLAP: Final = "approved_prices_do_not_overlap"

type _Book = tuple[str, str, str, str]


class NotProposed(Exception):
    """Some of the prices are decided already, or are not there; nothing was changed."""


class PriceDatesOverlap(Exception):
    """Another approved price of the model is in force at some of the time."""


def approve_prices(ids: Iterable[UUID], *, actor: Actor, now: datetime) -> int:
    """Approve proposals; each replaces what was approved for its dates, and no more. Answers how many.

    Not safe to repeat: raises `NotProposed` for what is decided, and `PriceDatesOverlap` when somebody else put
    another price in force meanwhile. All or none.
    """
    with _refusing_overlap(), in_public(), transaction.atomic():
        chosen = _proposed(ids)
        approved = _approved_of(chosen)
        # A price that ends and one that follows it are approved in the order of time.
        for version in sorted(chosen, key=lambda each: (each.effective.lower is not None, each.effective.lower or now)):
            others = approved[_book(version)]
            _make_room(version.effective, others)
            others.append(version)
        PriceVersion.objects.filter(pk__in=[version.pk for version in chosen]).update(
            status=PriceStatus.APPROVED, decided_at=now, decided_by=actor.name
        )
        _record("price.approved", chosen, actor=actor, now=now)
    _put_in_rules(chosen, actor=actor)
    return len(chosen)


def reject_prices(ids: Iterable[UUID], *, actor: Actor, now: datetime) -> int:
    """Reject proposals; the same ones are not proposed again. Raises `NotProposed`. All or none."""
    with in_public(), transaction.atomic():
        chosen = _proposed(ids)
        PriceVersion.objects.filter(pk__in=[version.pk for version in chosen]).update(
            status=PriceStatus.REJECTED, decided_at=now, decided_by=actor.name
        )
        _record("price.rejected", chosen, actor=actor, now=now)
    return len(chosen)


def save_price(version: PriceVersion, *, replaces: bool, actor: Actor, now: datetime) -> PriceVersion:
    """Put a price in force that a person set: checked by `price_setting`, unsaved until now.

    `replaces` cuts what was approved for its dates; without it, raises `PriceDatesOverlap`.
    """
    with _refusing_overlap(), in_public(), transaction.atomic():
        version.status, version.proposed_at = PriceStatus.APPROVED, now
        version.decided_at, version.decided_by = now, actor.name
        if replaces:
            _make_room(version.effective, _approved_of([version])[_book(version)])
        version.save(force_insert=True)
        _record("price.set", [version], actor=actor, now=now)
    _put_in_rules([version], actor=actor)
    return version


@contextmanager
def _refusing_overlap() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if _OVERLAP not in str(error):
            raise
        raise PriceDatesOverlap("Another price of the model is in force at some of these dates.") from None


def _proposed(ids: Iterable[UUID]) -> list[PriceVersion]:
    wanted = set(ids)
    rows = list(PriceVersion.objects.select_for_update().filter(pk__in=wanted, status=PriceStatus.PROPOSED))
    if len(rows) < len(wanted):
        raise NotProposed(f"{len(wanted) - len(rows)} of {len(wanted)} prices are not proposed, or not any more.")
    return rows


def _book(version: PriceVersion) -> _Book:
    return (version.layer, version.tenant_tag, version.provider, version.model)


def _approved_of(versions: Sequence[PriceVersion]) -> Mapping[_Book, list[PriceVersion]]:
    approved: defaultdict[_Book, list[PriceVersion]] = defaultdict(list)
    models = {version.model for version in versions}
    # One query for all; models of the same name elsewhere do no harm.
    rows = PriceVersion.objects.filter(status=PriceStatus.APPROVED, model__in=models)
    for version in rows.select_for_update():
        approved[_book(version)].append(version)
    return approved


def _make_room(effective: TimestamptzRange, others: list[PriceVersion]) -> None:
    """Cut the dates out of the prices that are approved for them; what is left of each stays as it was."""
    for other in [each for each in others if _overlap(each.effective, effective)]:
        before = TimestamptzRange(other.effective.lower, effective.lower, "[)")
        after = TimestamptzRange(effective.upper, other.effective.upper, "[)")
        has_before = effective.lower is not None and (
            other.effective.lower is None or other.effective.lower < effective.lower
        )
        has_after = effective.upper is not None and (
            other.effective.upper is None or effective.upper < other.effective.upper
        )
        if not has_before and not has_after:
            other.status = PriceStatus.SUPERSEDED
            other.save(update_fields=["status"])
            others.remove(other)
            continue
        other.effective = before if has_before else after
        other.save(update_fields=["effective"])
        if has_before and has_after:
            others.append(_copy(other, after))


def _copy(version: PriceVersion, effective: TimestamptzRange) -> PriceVersion:
    """The same price for other dates, as a row of its own: a version is one stretch of time."""
    fields = {field.attname: getattr(version, field.attname) for field in PriceVersion._meta.concrete_fields}
    return PriceVersion.objects.create(**fields | {"id": uuid7(), "effective": effective})


def _overlap(one: TimestamptzRange, other: TimestamptzRange) -> bool:
    return _begins_before_end(one, other) and _begins_before_end(other, one)


def _begins_before_end(one: TimestamptzRange, other: TimestamptzRange) -> bool:
    return one.lower is None or other.upper is None or one.lower < other.upper


def _put_in_rules(versions: Iterable[PriceVersion], *, actor: Actor) -> None:
    """Have decisions go by the new prices: all tenants', or those of the tenants whose contracts they are."""
    tags = {version.tenant_tag for version in versions}
    if "" in tags:
        publish_all(actor=actor)
    else:
        publish_rulesets([Tag(tag) for tag in sorted(tags)], actor=actor)


def _record(action: str, versions: Sequence[PriceVersion], *, actor: Actor, now: datetime) -> None:
    """One entry for a decision on many: the rows say by whom and when each was decided."""
    first = versions[0] if len(versions) == 1 else None
    audit.record(
        actor=actor,
        action=action,
        target=str(first) if first else f"{len(versions)} prices",
        at=now,
        after={
            "prices": [f"{version.provider}:{version.model}" for version in versions[:100]],
            "count": len(versions),
            "rates": first.rates if first else None,
        },
    )

"""Proposing prices: what the source says now, compared with what was approved. Nothing is charged by a proposal."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from psycopg.types.range import TimestamptzRange

from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.tenancy import in_public
from routing.models import Layer, PriceStatus, PriceVersion
from routing.services.price_source import SOURCE, LeftOut, ListedPrice, Source
from routing.services.price_source_rates import Terms
from routing.services.price_timeline import approved, in_force, says_the_same, terms_in, waiting_since
from telemetry.services import audit

_BATCH: Final = 500

type _Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One proposal; `before` are the terms in force at its beginning, None for a model without a price."""

    proposal: PriceVersion
    before: Terms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import found. `waiting` were proposed before and are undecided; `gone` have a price, but none any more
    in the source: they keep it.
    """

    version: str
    differences: tuple[Difference, ...]
    unchanged: int
    waiting: int
    rejected_before: int
    left_out: tuple[LeftOut, ...]
    gone: tuple[_Key, ...]


def import_prices(source: Source, *, actor: Actor, now: datetime, providers: Iterable[str] = ()) -> Imported:
    """Propose what the source says and the book does not, for some providers or all. Safe to repeat.

    An undecided proposal that the source no longer makes is taken back.
    """
    only = {name.lower() for name in providers}
    listed = [price for price in source.prices if not only or price.provider in only]
    with in_public(), transaction.atomic():
        book = _read_book(only)
        found = _Found(book, source.version, now)
        for price in listed:
            found.compare(price)
        waiting = found.take_back_the_others()
        PriceVersion.objects.bulk_create([each.proposal for each in found.differences], batch_size=_BATCH)
        if found.differences:
            audit.record(
                actor=actor,
                action="price.proposed",
                target=f"{SOURCE} {source.version}",
                at=now,
                after={"proposals": len(found.differences), "providers": sorted(only)},
            )
    keys = {(price.provider, price.model) for price in source.prices}
    left_out = tuple(each for each in source.left_out if not only or each.provider in only)
    return Imported(
        version=source.version,
        differences=tuple(found.differences),
        unchanged=found.unchanged,
        waiting=waiting,
        rejected_before=found.rejected_before,
        left_out=left_out,
        gone=tuple(sorted(key for key in book if key not in keys and approved(book[key]))),
    )


def _read_book(only: set[str]) -> dict[_Key, list[PriceVersion]]:
    rows = PriceVersion.objects.filter(layer=Layer.LIST, source=SOURCE).exclude(status=PriceStatus.SUPERSEDED)
    if only:
        rows = rows.filter(provider__in=only)
    book: defaultdict[_Key, list[PriceVersion]] = defaultdict(list)
    for version in rows:
        book[version.provider, version.model].append(version)
    return book


class _Found:
    """The comparison under way."""

    def __init__(self, book: dict[_Key, list[PriceVersion]], version: str, now: datetime) -> None:
        self.differences: list[Difference] = []
        self.unchanged = self.rejected_before = 0
        self._book, self._version, self._now = book, version, now
        self._still_proposed: set[object] = set()

    def compare(self, price: ListedPrice) -> None:
        versions = self._book.get((price.provider, price.model), [])
        effective = self._effective(price, versions)
        if effective is None or says_the_same(approved(versions), price.terms, effective):
            self.unchanged += 1
            return
        others = [
            version for version in versions if version.effective == effective and terms_in(version) == price.terms
        ]
        if any(version.status == PriceStatus.PROPOSED for version in others):
            self._still_proposed.update(version.pk for version in others)
        elif any(version.status == PriceStatus.REJECTED for version in others):
            self.rejected_before += 1
        else:
            before = in_force(approved(versions), effective.lower or self._now)
            proposal = self._proposal(price, effective)
            self.differences.append(Difference(proposal=proposal, before=None if before is None else terms_in(before)))

    def take_back_the_others(self) -> int:
        """Proposals that were not made again; answers how many go on waiting."""
        proposed = {
            version.pk
            for versions in self._book.values()
            for version in versions
            if version.status == PriceStatus.PROPOSED
        }
        PriceVersion.objects.filter(pk__in=proposed - self._still_proposed).update(status=PriceStatus.SUPERSEDED)
        return len(proposed & self._still_proposed)

    def _effective(self, price: ListedPrice, versions: list[PriceVersion]) -> TimestamptzRange | None:
        """When the proposal holds; None when it would only change what is past.

        A price without a beginning is as old as the model. Where the book has one already, the source has changed
        it without saying when, and it counts from now on: what was charged was the price of its time.
        """
        start, end = price.effective_from, price.effective_until
        if start is None and approved(versions):
            if end is not None and end <= self._now:
                return None
            start = waiting_since(versions, price.terms) or self._now
        return TimestamptzRange(start, end, "[)")

    def _proposal(self, price: ListedPrice, effective: TimestamptzRange) -> PriceVersion:
        return PriceVersion(
            id=uuid7(),
            layer=Layer.LIST,
            provider=price.provider,
            model=price.model,
            aliases=list(price.aliases),
            rates=price.terms.rates,
            long_context_from=price.terms.long_context_from,
            per_call=price.terms.per_call,
            tool_fees=price.terms.tool_fees,
            context_window=price.context_window,
            effective=effective,
            source=SOURCE,
            source_version=self._version,
            notes=price.terms.notes,
            proposed_at=self._now,
        )

"""Sealing the ledger's closed segments, behind the decisions.

Entries up to the head are never changed, so a segment is hashed without a lock that anybody waits for. Each seal is one
short transaction of its own, and its number can be taken once: two workers at once, or one that is killed, leave one
chain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from budgets.models import LedgerEntry, LedgerHead, LedgerSeal
from budgets.services.seal_hashes import LAYOUT, NOTHING, hash_entries, hash_of, sign
from kernel.ids import Tag
from kernel.tenancy import in_tenant

#: A segment is closed when it is full, or so old that it will not wait longer for more.
SEGMENT: Final = 10_000
CLOSES_AFTER: Final = timedelta(hours=1)


class LedgerHasGap(Exception):
    """Entries are missing: what is not whole is not sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What was sealed. `next_at`: when there is something to seal again, None while there are no open entries."""

    seals: int
    entries: int
    next_at: datetime | None


def seal_closed(
    *, tag: Tag, has_time: Callable[[], bool], segment: int = SEGMENT, closes_after: timedelta = CLOSES_AFTER
) -> Sealed:
    """Seal every closed segment of the tenant, until none is left or `has_time` says no. One step is always made.

    Safe to repeat, to run twice at once, and to be killed anywhere. Raises `LedgerHasGap`.
    """
    seals = entries = 0
    with in_tenant(tag):
        while True:
            made, next_at = _seal_one(segment, closes_after)
            if made is not None:
                seals += 1
                entries += made.last_seq - made.first_seq + 1
            if made is None or not has_time():
                return Sealed(seals=seals, entries=entries, next_at=next_at)


def seal_overdue_since() -> datetime:
    """Since when the current schema's ledger should have been sealed further, where it cannot be."""
    last_at = LedgerSeal.objects.order_by("-number").values_list("last_at", flat=True).first()
    since = last_at or LedgerEntry.objects.order_by("seq").values_list("at", flat=True).first()
    return _now() if since is None else since + CLOSES_AFTER


def _seal_one(segment: int, closes_after: timedelta) -> tuple[LedgerSeal | None, datetime | None]:
    """The seal that was made, and when the next segment closes as far as is known."""
    with transaction.atomic(durable=True):
        last = LedgerSeal.objects.order_by("-number").first()
        after = last.last_seq if last else 0
        now = _now()
        head = LedgerHead.objects.values_list("last_seq", flat=True).get(pk=1)
        until, next_at = _closed_until(after, head, now=now, segment=segment, closes_after=closes_after)
        if until == after:
            return None, next_at
        found = hash_entries(after=after, until=until)
        is_whole = found.number == until - after
        if not is_whole or found.entries_hash is None or found.first_at is None or found.last_at is None:
            raise LedgerHasGap(f"Of the entries {after + 1} to {until} there are {found.number}.")
        seal = LedgerSeal(
            number=last.number + 1 if last else 1,
            layout=LAYOUT,
            first_seq=after + 1,
            last_seq=until,
            first_at=found.first_at,
            last_at=found.last_at,
            entries_hash=found.entries_hash,
            previous_hash=bytes(last.hash) if last else NOTHING,
            sealed_at=now,
        )
        seal.hash = hash_of(seal)
        seal.signature = sign(seal.hash)
        # Whoever comes second waits for the first, and then finds the number taken: its own seal is dropped.
        LedgerSeal.objects.bulk_create([seal], ignore_conflicts=True)
    return seal, now if until < head else None


def _closed_until(
    after: int, head: int, *, now: datetime, segment: int, closes_after: timedelta
) -> tuple[int, datetime | None]:
    """Up to where the open entries are closed, and when they will be if they are not."""
    if head - after >= segment:
        return after + segment, None
    first_at = LedgerEntry.objects.filter(seq=after + 1).values_list("at", flat=True).first()
    if first_at is None:
        if head > after:
            raise LedgerHasGap(f"Entry {after + 1} is missing.")
        return after, None
    closes_at = first_at + closes_after
    return (head, None) if closes_at <= now else (after, closes_at)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now

"""Ledger entries that match a filter, the newest first, of the tenant whose schema the connection is in.

There is no index over the budgets that an entry touches: every call of the hot path would pay for it. So a search walks
back through the numbers in short steps, and stops after a while wherever it is.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from budgets.models import LedgerEntry, LedgerHead
from budgets.models.choices import EntryKind
from budgets.selectors.ledger_beginning import ledger_beginning
from kernel.sql_files import read_sql

#: Entries read by one statement.
STEP: Final = 5_000
#: After it a search stops at the end of its step.
SECONDS_MAX: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries: of one kind, that touch one budget, that touch these scopes. None and empty for all."""

    kind: EntryKind | None = None
    budget_id: UUID | None = None
    scopes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some entries, fewer than were asked for where it took too long. `next_before` is None where nothing is left."""

    entries: list[LedgerEntry]
    next_before: int | None


def matching_entries(wanted: EntryFilter, *, before: int | None, limit: int) -> EntryPage:
    """At most `limit` entries with a number below `before`, or the newest ones."""
    until = LedgerHead.objects.get(pk=1).last_seq if before is None else before - 1
    first = ledger_beginning().after
    ends_at = time.monotonic() + SECONDS_MAX
    found: list[LedgerEntry] = []
    # One more than fits says that there is more.
    while until > first and len(found) <= limit:
        after = max(until - STEP, first)
        found += _step(wanted, after=after, until=until, at_most=limit + 1 - len(found))
        until = after
        if time.monotonic() > ends_at:
            break
    if len(found) > limit:
        return EntryPage(found[:limit], next_before=found[limit - 1].seq)
    return EntryPage(found, next_before=until + 1 if until > first else None)


def _step(wanted: EntryFilter, *, after: int, until: int, at_most: int) -> list[LedgerEntry]:
    parameters = {
        "kind": wanted.kind,
        "budget_id": wanted.budget_id,
        "scopes": list(wanted.scopes),
        "after": after,
        "until": until,
        "at_most": at_most,
    }
    return list(LedgerEntry.objects.raw(read_sql("budgets", "ledger_step"), parameters))

"""Where the ledger begins of the tenant whose schema the connection is in: behind what was archived of it."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from budgets.models import LedgerOpening
from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive, last_archive


class BeforeTheLedger(Exception):
    """What is asked for was archived, or a part of it. `since` is from when on the ledger has all."""

    def __init__(self, since: datetime) -> None:
        super().__init__(f"Entries from before {since:%Y-%m-%d %H:%M} UTC were archived and are not in the ledger.")
        self.since = since


@dataclass(frozen=True, slots=True)
class Beginning:
    """The entries up to `after` are no longer part of the ledger; of entries from before `at` not all are there.

    0 and None where nothing was archived.
    """

    after: int
    at: datetime | None
    file: Archive | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a budget had behind the archived entries: the seven numbers of an entry, and the first entry it ever had."""

    budget_id: UUID
    first_seq: int
    balances: tuple[int, ...]


def ledger_beginning() -> Beginning:
    """One query. As soon as a file is known its entries are no longer part of the ledger, dropped or not."""
    file = last_archive(ArchiveKind.LEDGER)
    return Beginning(0, None, None) if file is None else Beginning(int(file.facts["until"]), file.until_at, file)


def require_in_ledger(moment: datetime) -> None:
    """Raises `BeforeTheLedger` unless the ledger has all entries since then. One query."""
    at = ledger_beginning().at
    if at is not None and moment < at:
        raise BeforeTheLedger(at)


def openings(file: Archive) -> list[Opening]:
    """What stands behind the file, by budget. One query."""
    rows = LedgerOpening.objects.filter(number=file.number).order_by("budget_id")
    return [Opening(row.budget_id, row.first_seq, tuple(row.balances)) for row in rows]


def hash_of_openings(found: Iterable[Opening]) -> str:
    """SHA-256, as hexadecimal: what the file's signed facts say of them."""
    said = [[str(one.budget_id), one.first_seq, *one.balances] for one in sorted(found, key=lambda one: one.budget_id)]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def kinds_of(file: Archive) -> dict[str, tuple[int, Decimal]]:
    """How many entries of each kind there were up to the end of the file, with the sum over their reservations."""
    return {kind: (int(number), Decimal(total)) for kind, (number, total) in file.facts["kinds"].items()}

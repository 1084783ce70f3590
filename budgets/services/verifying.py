"""Proving a tenant's books, and keeping what came of it where the console and `/metrics` read it."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

from budgets.selectors.audit import Audit, examine
from budgets.services.rollups_proof import RollupDifference, rollup_differences
from budgets.services.seals_proof import BrokenSeal, SealHead, broken_seals, seal_head
from kernel.ids import Tag
from tenants.selectors.verifications import VerifiedPart
from tenants.services.verifications import note_verification

#: Differences that are looked for: the first ones tell.
_FOUND_MAX = 20


def verify_books(*, tag: Tag) -> Audit:
    """The audit of the tenant `tag`, noted. Safe beside traffic; of the books themselves it changes nothing."""
    began_s = time.monotonic()
    found = examine(tag)
    _note(tag, VerifiedPart.LEDGER, began_s, read=found.entries, differences=found.differences)
    return found


def verify_rollups(*, tag: Tag) -> list[RollupDifference]:
    """The first difference between the tenant's rollups and its books, noted; none where they are the same."""
    began_s = time.monotonic()
    # One tells: a bucket that is wrong is followed by its days.
    found = list(islice(rollup_differences(tag), 1))
    _note(tag, VerifiedPart.ROLLUPS, began_s, read=0, differences=found)
    return found


def verify_seals(*, tag: Tag, known: SealHead | None = None) -> list[BrokenSeal]:
    """The first broken seals of the tenant, noted; none where all is as it was sealed. `known` was kept elsewhere."""
    began_s = time.monotonic()
    found = list(islice(broken_seals(tag, known=known), _FOUND_MAX))
    head = seal_head(tag)
    _note(tag, VerifiedPart.SEALS, began_s, read=head.last_seq if head else 0, differences=found)
    return found


def _note(tag: Tag, part: VerifiedPart, began_s: float, *, read: int, differences: Iterable[object]) -> None:
    said = [str(each) for each in differences]
    note_verification(
        tag=tag,
        part=part,
        at=datetime.now(UTC),
        took_ms=int((time.monotonic() - began_s) * 1000),
        read=read,
        differences=len(said),
        first=said[0] if said else "",
    )

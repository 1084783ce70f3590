"""What a charge comes to: what was booked first, and every correction of it since."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models.fields.json import KT

from budgets.models import LedgerEntry, Reservation
from budgets.models.choices import EntryKind

_CHARGES: Final = (EntryKind.COMMIT, EntryKind.EVENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """A settled charge as it stands. Amounts in `unit`: `amount` is what it really cost, `charged` what was paid of it.

    `asked_at` is when its reservation was made; of an event, when it was booked. `price` is what it was priced by last.
    """

    seq: int
    unit: str
    budget_ids: tuple[UUID, ...]
    reservation_id: UUID | None
    asked_at: datetime
    amount: int
    charged: int
    price: Mapping[str, Any] | None
    corrections: int

    @property
    def uncovered(self) -> int:
        return self.amount - self.charged


def charge_record(seq: int) -> ChargeRecord | None:
    """The charge that the entry `seq` booked; None where there is no such entry, or it booked none."""
    entry = LedgerEntry.objects.filter(pk=seq, kind__in=_CHARGES).first()
    if entry is None or entry.amount is None or entry.charged is None:
        return None
    corrections = list(
        LedgerEntry.objects.filter(kind=EntryKind.CORRECTION)
        .alias(corrects=KT("metadata__corrects"))
        .filter(corrects=str(seq))
        .order_by("seq")
    )
    last = corrections[-1] if corrections else entry
    asked_at = entry.at
    if entry.reservation_id is not None:
        asked_at = Reservation.objects.values_list("created_at", flat=True).get(pk=entry.reservation_id)
    return ChargeRecord(
        seq=seq,
        unit=entry.unit or "",
        budget_ids=tuple(entry.budget_ids),
        reservation_id=entry.reservation_id,
        asked_at=asked_at,
        amount=last.amount or 0,
        charged=last.charged or 0,
        price=next((each.price for each in (*reversed(corrections), entry) if each.price is not None), None),
        corrections=len(corrections),
    )

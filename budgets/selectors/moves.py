"""Money that was moved between siblings, in the books of the tenant whose schema the connection is in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from budgets.models import Budget, LedgerEntry
from budgets.models.choices import EntryKind

_ENDPOINT: Final = "reallocate"
_UNDO_ENDPOINT: Final = "undo"
_SEQ_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLine:
    """`amount` of `unit` went from one scope to another; `seq` is the number of its ledger entry."""

    seq: int
    giver: str
    receiver: str
    unit: str
    amount: int
    at: datetime
    is_undone: bool


def move_line(seq: int) -> MoveLine | None:
    """The move that this entry was, None for every other entry. Three queries."""
    if not 0 < seq <= _SEQ_MAX:
        return None
    entry = LedgerEntry.objects.filter(pk=seq, kind=EntryKind.REALLOCATE, endpoint=_ENDPOINT).first()
    if entry is None:
        return None
    budgets = Budget.objects.in_bulk(entry.budget_ids)
    giver, receiver = (budgets[budget_id].scope_path for budget_id in entry.budget_ids)
    undone = LedgerEntry.objects.filter(
        idempotency_key=_UNDO_ENDPOINT, endpoint=_UNDO_ENDPOINT, target=UUID(int=seq)
    ).exists()
    return MoveLine(
        seq=seq,
        giver=giver,
        receiver=receiver,
        unit=entry.unit or "",
        amount=entry.amount or 0,
        at=entry.at,
        is_undone=undone,
    )

"""Moving money between siblings: one entry, two changes, and the sum of what is allocated never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from budgets.models import Budget, LedgerEntry
from budgets.models.choices import EntryKind
from budgets.models.ledger import KINDS_THAT_BEGIN_ANEW
from budgets.scopes import parent_of
from budgets.services.funding import NotEnoughLeft, UnitDiffers, credit, debit, post_money
from budgets.services.guards import require_active, require_in_business
from budgets.services.journal import Journal, open_journal
from budgets.services.payloads import earlier_entry, hash_of
from budgets.services.traces import leave_trace, state_of
from kernel.actor import Actor
from kernel.money import Unit

ENDPOINT: Final = "reallocate"
UNDO_ENDPOINT: Final = "undo"
#: No entry has a greater number: the ledger counts in 64 bits.
SEQ_MAX: Final = 2**63 - 1

__all__ = [
    "BegunAnew",
    "LimitChanged",
    "NotEnoughLeft",
    "NotSiblings",
    "Reallocated",
    "ReallocationNotFound",
    "TooLateToUndo",
    "reallocate",
    "undo_reallocation",
]


class NotSiblings(Exception):
    """Money moves between two budgets right below the same scope."""


class LimitChanged(Exception):
    """The budget has another limit than whoever decided on the move has seen."""

    def __init__(self, *, scope_path: str, seen: int, allocated: int) -> None:
        super().__init__(scope_path)
        self.scope_path = scope_path
        self.seen = seen
        self.allocated = allocated


class TooLateToUndo(Exception):
    """The time in which the move could be undone is over."""


class ReallocationNotFound(Exception):
    """No entry with this number moved money, or it was itself an undoing."""


class BegunAnew(Exception):
    """Since the move a period or a reset gave one of the two budgets its money anew: what moved is no longer there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reallocated:
    """What was moved, in `unit`. `seq` is the number of the ledger entry; `undoes` the one that this undid."""

    seq: int
    giver_id: UUID
    receiver_id: UUID
    unit: Unit
    amount: int
    at: datetime
    giver_remaining: int
    receiver_remaining: int
    undoes: int | None
    is_replay: bool


def reallocate(
    *,
    giver_id: UUID,
    receiver_id: UUID,
    unit: Unit,
    amount: int,
    idempotency_key: str,
    actor: Actor,
    seen_allocated: Mapping[UUID, int] | None = None,
) -> Reallocated:
    """Move `amount` of `unit` from one budget to its sibling, once for an idempotency key of the tenant.

    What the receiver gets repays its debt first, as any funding does. `seen_allocated` are the limits that whoever
    decided has seen, by budget. Raises `PayloadDiffers`, `TenantIsClosed`, `TenantIsSuspended`, `BudgetNotFound`,
    `NotSiblings`, `UnitDiffers`, `LimitChanged`, `BudgetIsClosed`, `BudgetIsFrozen`, `NotEnoughLeft`,
    `AmountOutOfRange`.
    """
    payload_hash = hash_of(str(giver_id), str(receiver_id), unit, amount, actor.reason)
    with open_journal(actor=actor) as journal:
        entry = earlier_entry(endpoint=ENDPOINT, idempotency_key=idempotency_key, payload_hash=payload_hash)
        if entry is not None:
            return _reallocated(entry, is_replay=True)
        require_in_business(journal)
        giver, receiver = journal.budget_by_id(giver_id), journal.budget_by_id(receiver_id)
        parent = parent_of(giver.scope_path)
        if parent is None or parent != parent_of(receiver.scope_path) or giver.scope_path == receiver.scope_path:
            raise NotSiblings
        for budget in (giver, receiver):
            if budget.unit != unit:
                raise UnitDiffers(budget.unit)
            seen = (seen_allocated or {}).get(budget.pk, budget.allocated)
            if seen != budget.allocated:
                raise LimitChanged(scope_path=budget.scope_path, seen=seen, allocated=budget.allocated)
        return _move(
            journal,
            giver,
            receiver,
            amount,
            endpoint=ENDPOINT,
            idempotency_key=idempotency_key,
            payload_hash=payload_hash,
        )


def undo_reallocation(*, seq: int, actor: Actor, within: timedelta | None = None) -> Reallocated:
    """Move the money back while the receiver still has it free. Done once, however often it is asked for.

    Debt that the money has repaid stays repaid. `within` is how long after the move it may be undone; None for ever.
    Raises `ReallocationNotFound`, `TooLateToUndo`, `BegunAnew` and what `reallocate` raises.
    """
    if seq > SEQ_MAX:
        raise ReallocationNotFound
    with open_journal(actor=actor) as journal:
        # The entry itself is the key, so a second undoing finds the first.
        target = UUID(int=seq)
        entry = LedgerEntry.objects.filter(idempotency_key=UNDO_ENDPOINT, endpoint=UNDO_ENDPOINT, target=target).first()
        if entry is not None:
            return _reallocated(entry, is_replay=True)
        moved = LedgerEntry.objects.filter(seq=seq, kind=EntryKind.REALLOCATE, endpoint=ENDPOINT).first()
        if moved is None or moved.amount is None:
            raise ReallocationNotFound(str(seq))
        if within is not None and journal.now - moved.at > within:
            raise TooLateToUndo(str(seq))
        require_in_business(journal)
        receiver, giver = (journal.budget_by_id(budget_id) for budget_id in moved.budget_ids)
        # After both were read, which opens the periods that are due.
        if _have_begun_anew([giver, receiver], since=moved.seq):
            raise BegunAnew(str(seq))
        return _move(
            journal,
            giver,
            receiver,
            moved.amount,
            endpoint=UNDO_ENDPOINT,
            target=target,
            idempotency_key=UNDO_ENDPOINT,
            payload_hash=hash_of(seq),
        )


def _move(
    journal: Journal,
    giver: Budget,
    receiver: Budget,
    amount: int,
    *,
    endpoint: str,
    idempotency_key: str,
    payload_hash: bytes,
    target: UUID | None = None,
) -> Reallocated:
    require_active(giver)
    require_active(receiver)
    giver_before, receiver_before = state_of(giver), state_of(receiver)
    entry = post_money(
        journal,
        EntryKind.REALLOCATE,
        [debit(giver, amount), credit(receiver, amount)],
        amount=amount,
        endpoint=endpoint,
        target=target,
        idempotency_key=idempotency_key,
        payload_hash=payload_hash,
    )
    facts = {"seq": entry.seq, "reallocated_to": receiver.scope_path, "reallocated_from": giver.scope_path}
    leave_trace(journal, "budget.debited", giver, operation="DEBIT", before=giver_before, **facts)
    leave_trace(journal, "budget.funded", receiver, operation="CREDIT", before=receiver_before, **facts)
    return _reallocated(entry, is_replay=False)


def _have_begun_anew(budgets: Sequence[Budget], *, since: int) -> bool:
    # These entries name one budget each, and have an index of their own.
    return LedgerEntry.objects.filter(
        kind__in=KINDS_THAT_BEGIN_ANEW, budget_ids__0__in=[budget.pk for budget in budgets], seq__gt=since
    ).exists()


def _reallocated(entry: LedgerEntry, *, is_replay: bool) -> Reallocated:
    giver, receiver = entry.balances[:7], entry.balances[7:]
    return Reallocated(
        seq=entry.seq,
        giver_id=entry.budget_ids[0],
        receiver_id=entry.budget_ids[1],
        unit=Unit(entry.unit or ""),
        amount=entry.amount or 0,
        at=entry.at,
        giver_remaining=giver[0] - giver[1] - giver[2] - giver[3],
        receiver_remaining=receiver[0] - receiver[1] - receiver[2] - receiver[3],
        undoes=entry.target.int if entry.target is not None else None,
        is_replay=is_replay,
    )

"""Correcting what was charged: by a compensating entry that names the one it corrects. No entry is ever changed.

A correction lands in the period in which it is made, as every charge does. It says what the call really cost; what was
held, and what the reservation says of its settlement, stay as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from budgets.models import Budget, LedgerEntry
from budgets.models.choices import EntryKind
from budgets.selectors.charges import ChargeRecord, charge_record
from budgets.selectors.ledger_beginning import ledger_beginning
from budgets.services.guards import require_not_closed
from budgets.services.journal import Change, Journal, open_journal
from budgets.services.payloads import earlier_entry, hash_of
from kernel.actor import Actor
from kernel.money import Unit
from telemetry.services import audit, outbox

ENDPOINT: Final = "correct"


class ChargeNotFound(Exception):
    """No entry with this number that booked a charge. A correction is none: correct the charge itself again."""


class ChargeArchived(Exception):
    """The charge was archived and is no longer part of the ledger: only the budget can be credited or debited."""


class ChargeUnitDiffers(Exception):
    """The charge is in another unit, which is the exception's text."""


class NothingToCorrect(Exception):
    """The charge comes to this amount already."""


class ReasonMissing(Exception):
    """A correction says why."""


class CannotGiveBack(Exception):
    """A budget no longer has so much spent, because a new period or a reset began it anew. Credit it instead."""

    def __init__(self, *, scope_path: str, spent: int, wanted: int) -> None:
        super().__init__(scope_path)
        self.scope_path = scope_path
        self.spent = spent
        self.wanted = wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What the charge of the entry `seq` should come to, in `unit`; with the price that it was reckoned by, if any.

    `request` is what the caller asked for where that is not the amount itself: what the idempotency key stands for.
    """

    seq: int
    unit: Unit
    amount: int
    idempotency_key: str
    price: Mapping[str, Any] | None = None
    request: Sequence[str | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """What it did; all amounts in `unit`. `seq` is the correction's own entry. A repeated request gets it again."""

    seq: int
    corrects: int
    at: datetime
    unit: Unit
    amount_before: int
    charged_before: int
    amount: int
    charged: int
    price: Mapping[str, Any] | None
    is_replay: bool


def correct_charge(*, correction: Correction, actor: Actor) -> Corrected:
    """Let a settled charge come to another amount, on every budget that it was charged to alike, once for a key.

    Upwards, what the budgets have left pays and the rest is uncovered, as under ALLOW_IF_AVAILABLE; downwards, what was
    uncovered goes first, then debt, then what was spent. Frozen and closed budgets are corrected too: it is a fact.

    Raises `ReasonMissing`, `PayloadDiffers`, `TenantIsClosed`, `ChargeArchived`, `ChargeNotFound`,
    `ChargeUnitDiffers`, `NothingToCorrect`, `CannotGiveBack` or `AmountOutOfRange`.
    """
    if not actor.reason.strip():
        raise ReasonMissing
    asked = correction.amount if correction.request is None else correction.request
    payload_hash = hash_of(correction.seq, correction.unit, asked, actor.reason)
    with open_journal(actor=actor) as journal:
        key = correction.idempotency_key
        if (earlier := earlier_entry(endpoint=ENDPOINT, idempotency_key=key, payload_hash=payload_hash)) is not None:
            return _corrected(earlier, is_replay=True)
        require_not_closed(journal)
        if 0 < correction.seq <= ledger_beginning().after:
            raise ChargeArchived
        charge = charge_record(correction.seq)
        if charge is None:
            raise ChargeNotFound(str(correction.seq))
        if charge.unit != correction.unit:
            raise ChargeUnitDiffers(charge.unit)
        if charge.amount == correction.amount:
            raise NothingToCorrect
        budgets = [journal.budget_by_id(budget_id) for budget_id in charge.budget_ids]
        more = correction.amount - charge.amount
        changes = _more(budgets, by=more) if more > 0 else _less(budgets, charge, by=-more)
        entry = journal.post(
            EntryKind.CORRECTION,
            changes,
            amount=correction.amount,
            charged=charge.charged + changes[0].spent + changes[0].debt,
            reservation_id=charge.reservation_id,
            price=correction.price,
            endpoint=ENDPOINT,
            idempotency_key=key,
            payload_hash=payload_hash,
            metadata={"corrects": charge.seq, "amount_before": charge.amount, "charged_before": charge.charged},
        )
        corrected = _corrected(entry, is_replay=False)
        _leave_trace(journal, corrected, scope_path=budgets[-1].scope_path)
        return corrected


def _more(budgets: Sequence[Budget], *, by: int) -> list[Change]:
    """It cost more: the tightest budget says how much of it is paid, and on every budget the same."""
    paid = min(by, *(max(budget.remaining, 0) for budget in budgets))
    for budget in budgets:
        if max(budget.remaining, 0) < by:
            budget.is_capped = True
    return [Change(budget=budget, spent=paid, uncovered=by - paid) for budget in budgets]


def _less(budgets: Sequence[Budget], charge: ChargeRecord, *, by: int) -> list[Change]:
    """It cost less. A new period may have begun with nothing uncovered, so that less of that can be taken back."""
    unpaid = min(by, charge.uncovered, *(budget.uncovered for budget in budgets))
    paid = by - unpaid
    changes = []
    for budget in budgets:
        debt = min(budget.debt, paid)
        if paid > charge.charged or paid - debt > budget.spent:
            raise CannotGiveBack(scope_path=budget.scope_path, spent=budget.spent + budget.debt, wanted=paid)
        changes.append(Change(budget=budget, spent=debt - paid, debt=-debt, uncovered=-unpaid))
        if budget.remaining + paid > 0 and budget.debt - debt <= budget.overdraft_limit:
            budget.is_capped = False
    return changes


def _corrected(entry: LedgerEntry, *, is_replay: bool) -> Corrected:
    known: Mapping[str, int] = entry.metadata or {}
    return Corrected(
        seq=entry.seq,
        corrects=known["corrects"],
        at=entry.at,
        unit=Unit(entry.unit or ""),
        amount_before=known["amount_before"],
        charged_before=known["charged_before"],
        amount=entry.amount or 0,
        charged=entry.charged or 0,
        price=entry.price,
        is_replay=is_replay,
    )


def _leave_trace(journal: Journal, corrected: Corrected, *, scope_path: str) -> None:
    before = {"amount": corrected.amount_before, "charged": corrected.charged_before}
    after = {"amount": corrected.amount, "charged": corrected.charged}
    facts = {"seq": corrected.seq, "corrects": corrected.corrects, "unit": corrected.unit}
    target = f"ledger entry {corrected.corrects}"
    audit.record(
        actor=journal.actor,
        action="charge.corrected",
        target=target,
        at=journal.now,
        before=before,
        after=after | facts,
    )
    content = {"scope": scope_path, **facts, "previous": before, "new": after, "reason": journal.actor.reason}
    event = outbox.Event(event_type="charge.corrected", content=content, scope_path=scope_path)
    outbox.announce(event, actor=journal.actor, at=journal.now)

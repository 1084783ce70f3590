"""Funding: the protocol's five operations on what a budget may use."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from budgets.models import Budget, LedgerEntry
from budgets.models.choices import EntryKind
from budgets.models.ledger import BALANCE_FIELDS, DELTA_FIELDS
from budgets.services.guards import require_active, require_in_business
from budgets.services.journal import Change, Journal, open_journal
from budgets.services.payloads import earlier_entry, hash_of
from budgets.services.traces import leave_trace, state_of
from kernel.actor import Actor
from kernel.money import Unit

ENDPOINT: Final = "fund"


class FundingOperation(StrEnum):
    """CREDIT adds, and repays debt first. DEBIT takes what is free. RESET sets the allocation. RESET_SPENT begins a
    period anew.

    REPAY_DEBT pays debt; what is left over is added.
    """

    CREDIT = "CREDIT"
    DEBIT = "DEBIT"
    RESET = "RESET"
    RESET_SPENT = "RESET_SPENT"
    REPAY_DEBT = "REPAY_DEBT"


class UnitDiffers(Exception):
    """The budget counts in another unit, which is the exception's text."""


class NotEnoughLeft(Exception):
    """Taking so much would leave less than nothing: the rest is held or spent."""

    def __init__(self, *, remaining: int, requested: int) -> None:
        super().__init__()
        self.remaining = remaining
        self.requested = requested


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """What is asked for; amounts in `unit`. `spent` counts for RESET_SPENT alone."""

    operation: FundingOperation
    unit: Unit
    amount: int
    idempotency_key: str
    spent: int | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Funded:
    """What it did to the budget; all amounts in `unit`. A repeated request gets the first answer again."""

    budget_id: UUID
    seq: int
    operation: FundingOperation
    unit: Unit
    at: datetime
    previous: Mapping[str, int]
    new: Mapping[str, int]
    is_replay: bool


_EVENT_OF: Final = {
    FundingOperation.CREDIT: "budget.funded",
    FundingOperation.DEBIT: "budget.debited",
    FundingOperation.RESET: "budget.reset",
    FundingOperation.RESET_SPENT: "budget.reset_spent",
    FundingOperation.REPAY_DEBT: "budget.debt_repaid",
}


def fund(*, budget_id: UUID, funding: Funding, actor: Actor) -> Funded:
    """Fund the budget, once for an idempotency key of the tenant.

    Raises `PayloadDiffers`, `TenantIsClosed`, `TenantIsSuspended`, `BudgetNotFound`, `BudgetIsClosed`,
    `BudgetIsFrozen`, `UnitDiffers`,
    `NotEnoughLeft` (DEBIT) or `AmountOutOfRange`.
    """
    payload_hash = hash_of(
        str(budget_id),
        funding.operation,
        funding.unit,
        funding.amount,
        funding.spent,
        funding.metadata or {},
        actor.reason,
    )
    with open_journal(actor=actor) as journal:
        entry = earlier_entry(endpoint=ENDPOINT, idempotency_key=funding.idempotency_key, payload_hash=payload_hash)
        if entry is not None:
            return _funded(entry, is_replay=True)
        require_in_business(journal)
        budget = journal.budget_by_id(budget_id)
        require_active(budget)
        if budget.unit != funding.unit:
            raise UnitDiffers(budget.unit)
        before, was_over_limit = state_of(budget), budget.is_over_limit
        entry = post_money(
            journal,
            EntryKind(funding.operation),
            [_change(budget, funding)],
            amount=funding.amount,
            endpoint=ENDPOINT,
            idempotency_key=funding.idempotency_key,
            payload_hash=payload_hash,
            metadata=funding.metadata,
        )
        facts: dict[str, Any] = {"seq": entry.seq}
        if funding.operation == FundingOperation.RESET_SPENT:
            facts["spent_override_provided"] = funding.spent is not None
        leave_trace(journal, _EVENT_OF[funding.operation], budget, operation=funding.operation, before=before, **facts)
        if was_over_limit and not budget.is_over_limit:
            leave_trace(journal, "budget.over_limit_exited", budget, operation=funding.operation, before=before)
        return _funded(entry, is_replay=False)


def credit(budget: Budget, amount: int) -> Change:
    """The change that adds `amount`. Debt is repaid first: it becomes spent, so that funding never changes
    consumption.
    """
    repaid = min(budget.debt, amount)
    return Change(budget=budget, allocated=amount, spent=repaid, debt=-repaid)


def debit(budget: Budget, amount: int) -> Change:
    """The change that takes `amount`. Raises `NotEnoughLeft`."""
    if amount > budget.remaining:
        raise NotEnoughLeft(remaining=budget.remaining, requested=amount)
    return Change(budget=budget, allocated=-amount)


def post_money(journal: Journal, kind: EntryKind, changes: list[Change], **columns: Any) -> LedgerEntry:
    """Post changes of money. A capped budget that gets money, or is reset, is open again once something is left and its
    debt is within its limit.
    """
    is_reset = kind in {EntryKind.RESET, EntryKind.RESET_SPENT}
    for change in changes:
        budget = change.budget
        remaining = budget.remaining + change.allocated - change.reserved - change.spent - change.debt
        gets_money = is_reset or change.allocated > 0
        if gets_money and remaining > 0 and budget.debt + change.debt <= budget.overdraft_limit:
            budget.is_capped = False
    return journal.post(kind, changes, **columns)


def _change(budget: Budget, funding: Funding) -> Change:
    match funding.operation:
        case FundingOperation.CREDIT | FundingOperation.REPAY_DEBT:
            return credit(budget, funding.amount)
        case FundingOperation.DEBIT:
            return debit(budget, funding.amount)
        case FundingOperation.RESET:
            return Change(budget=budget, allocated=funding.amount - budget.allocated)
        case FundingOperation.RESET_SPENT:
            return Change(
                budget=budget,
                allocated=funding.amount - budget.allocated,
                spent=(funding.spent or 0) - budget.spent,
                uncovered=-budget.uncovered,
            )


def _funded(entry: LedgerEntry, *, is_replay: bool) -> Funded:
    """The answer, from the entry alone, so that the first one can be had again word for word."""
    new = dict(zip(BALANCE_FIELDS, entry.balances, strict=True))
    previous = {name: new[name] - delta for name, delta in zip(DELTA_FIELDS, entry.deltas, strict=True)}
    return Funded(
        budget_id=entry.budget_ids[0],
        seq=entry.seq,
        operation=FundingOperation(entry.kind),
        unit=Unit(entry.unit or ""),
        at=entry.at,
        previous=previous | {"remaining": remaining_in(previous)},
        new=new | {"remaining": remaining_in(new)},
        is_replay=is_replay,
    )


def remaining_in(balances: Mapping[str, int]) -> int:
    """What is left of balances by name."""
    return balances["allocated"] - balances["reserved"] - balances["spent"] - balances["debt"]

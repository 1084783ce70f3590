"""Changing what a budget is, not what it has: its limit and its periods, frozen, open, closed."""

from dataclasses import dataclass
from uuid import UUID

from budgets.models import Budget
from budgets.models.choices import BudgetStatus, EntryKind, Period, Rollover
from budgets.services.guards import require_not_closed, require_open
from budgets.services.holds import active_holds, release_holds, stop_holds
from budgets.services.journal import Change, Journal, open_journal
from budgets.services.opening import NoPeriod
from budgets.services.traces import leave_trace, state_of
from kernel.actor import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEdit:
    """The new values; None leaves one as it is. The allocation a period counts from the next period on."""

    overdraft_limit: int | None = None
    rollover: Rollover | None = None
    period_allocation: int | None = None

    @property
    def values(self) -> dict[str, int | str]:
        named = {
            "overdraft_limit": self.overdraft_limit,
            "rollover": self.rollover,
            "period_allocation": self.period_allocation,
        }
        return {name: value for name, value in named.items() if value is not None}


def update_budget(*, budget_id: UUID, edit: BudgetEdit, actor: Actor) -> Budget:
    """Change limits. Safe to repeat; frozen budgets may be edited too.

    Raises `BudgetNotFound`, `BudgetIsClosed`, `TenantIsClosed`, `NoPeriod`.
    """
    with open_journal(actor=actor) as journal:
        budget = _open_budget(journal, budget_id)
        if budget.period == Period.ONE_OFF and (edit.rollover or edit.period_allocation is not None):
            raise NoPeriod
        before = state_of(budget)
        changed = {name: value for name, value in edit.values.items() if getattr(budget, name) != value}
        if not changed:
            return budget
        replaced = {name: getattr(budget, name) for name in changed}
        for name, value in changed.items():
            setattr(budget, name, value)
        journal.post(EntryKind.UPDATE, [Change(budget=budget)], metadata={"before": replaced, "after": changed})
        leave_trace(
            journal, "budget.updated", budget, operation="UPDATE", before=before, replaced=replaced, changed=changed
        )
        return budget


def freeze_budget(*, budget_id: UUID, cancel_holds: bool = False, actor: Actor) -> Budget:
    """Refuse new reservations and funding. Work in flight may settle, unless `cancel_holds`. Safe to repeat.

    Raises `BudgetNotFound`, `BudgetIsClosed`, `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        budget = _open_budget(journal, budget_id)
        released = 0
        if cancel_holds:
            released = release_holds(journal, active_holds(budget))
            budget.refresh_from_db()
        _set_status(journal, budget, BudgetStatus.FROZEN, EntryKind.FREEZE, "budget.frozen", holds_released=released)
        return budget


def unfreeze_budget(*, budget_id: UUID, actor: Actor) -> Budget:
    """Let the budget work again. Safe to repeat. Raises `BudgetNotFound`, `BudgetIsClosed`, `TenantIsClosed`."""
    with open_journal(actor=actor) as journal:
        budget = _open_budget(journal, budget_id)
        _set_status(journal, budget, BudgetStatus.ACTIVE, EntryKind.UNFREEZE, "budget.unfrozen")
        return budget


def close_budget(*, budget_id: UUID, cancel_holds: bool = False, actor: Actor) -> Budget:
    """End the budget for good: what is asked of its scope is refused from then on. Safe to repeat.

    Raises `HoldsAreActive` while money is held, unless `cancel_holds`, which gives it back first; `BudgetNotFound`,
    `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        require_not_closed(journal)
        budget = journal.budget_by_id(budget_id)
        if budget.status != BudgetStatus.CLOSED:
            released = stop_holds(journal, budget, cancel=cancel_holds)
            _set_status(journal, budget, BudgetStatus.CLOSED, EntryKind.CLOSE, "budget.closed", holds_released=released)
        return budget


def _open_budget(journal: Journal, budget_id: UUID) -> Budget:
    require_not_closed(journal)
    budget = journal.budget_by_id(budget_id)
    require_open(budget)
    return budget


def _set_status(
    journal: Journal, budget: Budget, status: BudgetStatus, kind: EntryKind, event_type: str, **facts: int
) -> None:
    if budget.status == status:
        return
    before = state_of(budget)
    budget.status = status
    journal.post(kind, [Change(budget=budget)])
    leave_trace(journal, event_type, budget, operation="STATUS_CHANGE", before=before, **facts)

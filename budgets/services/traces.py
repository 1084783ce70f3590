"""What a change of a budget leaves behind besides its ledger entry: an audit row and an event, in its transaction."""

from typing import Any

from budgets.models import Budget
from budgets.services.journal import Journal
from telemetry.services import audit, outbox

type State = dict[str, int | str]


def state_of(budget: Budget) -> State:
    """The numbers of a budget as the protocol's events show them, in the budget's unit."""
    return {
        "allocated": budget.allocated,
        "remaining": budget.remaining,
        "reserved": budget.reserved,
        "spent": budget.spent,
        "debt": budget.debt,
        "overdraft_limit": budget.overdraft_limit,
        "status": budget.status,
    }


def leave_trace(
    journal: Journal,
    event_type: str,
    budget: Budget,
    *,
    operation: str,
    before: State | None,
    **facts: Any,
) -> None:
    """Write down that `budget` was changed; `before` is its `state_of` then, None for a new one."""
    after = state_of(budget)
    content: dict[str, Any] = {
        "ledger_id": str(budget.pk),
        "scope": budget.scope_path,
        "unit": budget.unit,
        "operation": operation,
        "new_state": after,
        **facts,
    }
    if before is not None:
        content["previous_state"] = before
    if journal.actor.reason:
        content["reason"] = journal.actor.reason
    audit.record(
        actor=journal.actor,
        action=event_type,
        target=f"{budget.scope_path} {budget.unit}",
        at=journal.now,
        before=before,
        after=after | facts,
    )
    event = outbox.Event(event_type=event_type, content=content, scope_path=budget.scope_path)
    outbox.announce(event, actor=journal.actor, at=journal.now)

"""Doing what `plan_money` has worked out: one step, one ledger entry, its audit row and its event."""

from budgets.models import Budget
from budgets.models.choices import EntryKind, Period
from budgets.scopes import read_scope_path
from budgets.services.funding import credit, post_money
from budgets.services.journal import Change, Journal
from budgets.services.opening import NewBudget, open_budget_in
from budgets.services.plan_money import BudgetStep, StepKind
from budgets.services.traces import leave_trace, state_of


def take_step(journal: Journal, step: BudgetStep, *, budget: Budget | None, plan: str) -> None:
    """Do it. `budget` is the one that the step was worked out from, None for one to be opened."""
    given = step.granted
    if budget is None:
        scope = read_scope_path(step.scope, slug=journal.head.slug)
        open_budget_in(
            journal,
            NewBudget(
                scope=scope,
                unit=step.unit,
                allocated=step.after,
                overdraft_limit=given.overdraft_limit,
                period=given.period,
                rollover=given.rollover,
                period_allocation=None if given.period == Period.ONE_OFF else given.allocated_a_period,
            ),
        )
        return
    if step.kind == StepKind.KEPT:
        return
    before, more = state_of(budget), step.after - step.before
    budget.period, budget.rollover = given.period, given.rollover
    budget.period_starts_at, budget.period_ends_at = step.starts_at, step.ends_at
    budget.anchor = step.anchor or budget.anchor
    budget.period_allocation = 0 if given.period == Period.ONE_OFF else given.allocated_a_period
    change = credit(budget, more) if more >= 0 else Change(budget=budget, allocated=more)
    post_money(journal, EntryKind.UPDATE, [change], metadata={"plan": plan})
    leave_trace(journal, "budget.updated", budget, operation="UPDATE", before=before, plan=plan)

"""The money of a replay: its workspace gets exactly so much to spend."""

from uuid import uuid4

from budgets.models import Budget
from budgets.scopes import ScopePath
from budgets.services.funding import Funding, FundingOperation, fund
from budgets.services.opening import NewBudget, open_budget
from kernel.actor import Actor
from kernel.money import Unit


def give_room(scope: ScopePath, amount: int, *, actor: Actor) -> None:
    """Let `amount` USD_MICROCENTS be left at `scope`, whatever was spent there before.

    Works in the tenant's schema that the connection is in. Raises what `open_budget` and `fund` raise.
    """
    budget = Budget.objects.filter(scope_path=scope.text, unit=Unit.USD_MICROCENTS).first()
    if budget is None:
        open_budget(NewBudget(scope=scope, unit=Unit.USD_MICROCENTS, allocated=amount), actor=actor)
        return
    fund(
        budget_id=budget.pk,
        funding=Funding(
            operation=FundingOperation.RESET,
            unit=Unit.USD_MICROCENTS,
            amount=amount + budget.reserved + budget.spent + budget.debt,
            idempotency_key=f"replay-{uuid4()}",
        ),
        actor=actor,
    )

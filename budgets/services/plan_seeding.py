"""Publishing the plans that come with the program."""

from datetime import datetime

from budgets.services.plan_catalogue import CATALOGUE
from kernel.actor import Actor
from tenants.selectors.plans import latest_plan
from tenants.services.plans import publish_plan


def ensure_plans(*, actor: Actor, now: datetime) -> list[str]:
    """The first version of each plan that has none; their codes. Safe to repeat."""
    missing = [plan for plan in CATALOGUE if latest_plan(plan.code) is None]
    for plan in missing:
        publish_plan(code=plan.code, name=plan.name, price=plan.price, defaults=plan.defaults, actor=actor, now=now)
    return [plan.code for plan in missing]

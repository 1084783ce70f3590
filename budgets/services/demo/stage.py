"""Setting the stage: the demo's tenants and their budgets. Each step makes what is missing, no more."""

from datetime import datetime
from typing import Final

from budgets.models import LedgerHead
from budgets.models.choices import Period
from budgets.scopes import read_scope_path
from budgets.services.demo.cast import DemoTenant
from budgets.services.lifecycle import create_tenant
from budgets.services.opening import BudgetExists, NewBudget, open_budget
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.money import Unit
from kernel.tenancy import in_tenant
from tenants.selectors.directory import tenant_by_slug
from tenants.selectors.plans import latest_plan
from tenants.services.provisioning import NewTenant

ACTOR: Final = Actor(name="seed_demo", actor_type="system", reason="The demo's opening stock.")


def ensure_tenant(tenant: DemoTenant, *, now: datetime) -> Tag:
    """The tenant with its budgets. One that is there keeps what it has, its operator's changes too."""
    line = tenant_by_slug(tenant.slug)
    if line is None or not line.has_books:
        new = NewTenant(slug=tenant.slug, name=tenant.name, time_zone=tenant.time_zone, plan=latest_plan(tenant.plan))
        tag = create_tenant(new, now=now).tag
    else:
        tag = line.tag
    with in_tenant(tag):
        for budget in tenant.budgets if is_in_business() else ():
            try:
                open_budget(
                    NewBudget(
                        scope=read_scope_path(f"tenant:{tenant.slug}/{budget.scope}", slug=tenant.slug),
                        unit=Unit.USD_MICROCENTS,
                        allocated=budget.allocated,
                        overdraft_limit=budget.overdraft_limit,
                        period=Period.DAY,
                    ),
                    actor=ACTOR,
                )
            except BudgetExists:
                continue
    return tag


def is_in_business() -> bool:
    """Whether the tenant of the connection is neither suspended nor closed."""
    return LedgerHead.objects.filter(status="ACTIVE").exists()

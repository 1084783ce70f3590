"""What a plan gives: budgets and run templates to a new tenant, and the limits and rules that hold while it is on it.

Read and checked when a version is published, applied when a tenant is made.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from budgets.models.choices import Period, Rollover
from budgets.scopes import InvalidScope, ScopePath, read_scope_path
from budgets.services.journal import Journal
from budgets.services.opening import NewBudget, open_budget_in
from budgets.services.policy_refusal import InvalidPolicy
from budgets.services.routing_policy import RoutingPolicy
from budgets.services.rule_parts import RuleParts, as_document
from budgets.services.run_templates import create_template_in
from budgets.services.tool_policy import ToolPolicy, check_tools
from kernel.http.explain import explain
from kernel.money import AMOUNT_MAX, Unit

Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
KeptDays = Annotated[int, Meta(ge=30, le=36_525)]
KeptLedgerDays = Annotated[int, Meta(ge=90, le=36_525)]


class InvalidPlanDefaults(Exception):
    """The defaults of a plan cannot be applied; the text says why and repeats no value."""


class BudgetDefault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One budget. `scope` is the path below the tenant, as in `workspace:prod`; empty for the tenant's own."""

    scope: str = ""
    unit: Unit
    allocated: Amount
    overdraft_limit: Amount = 0
    period: Period = Period.ONE_OFF
    rollover: Rollover = Rollover.NONE
    period_allocation: Amount | None = None

    @property
    def allocated_a_period(self) -> int:
        """What each period is granted; all that there is, for a budget without periods."""
        return self.allocated if self.period_allocation is None else self.period_allocation


class RunTemplateDefault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(pattern=r"\A[a-z0-9_.-]{1,128}\Z")]
    unit: Unit
    amount: Amount
    is_default: bool = False


class KeepDefault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For how many days rows are kept, null for ever; what is left out is as the installation says."""

    decisions: KeptDays | UnsetType | None = UNSET
    events: KeptDays | UnsetType | None = UNSET
    ledger: KeptLedgerDays | UnsetType | None = UNSET


class PlanDefaults(RuleParts, frozen=True, kw_only=True):
    """The whole of a plan's defaults. Limits are those of `RuleParts`; a tenant's own policies go before them."""

    budgets: tuple[BudgetDefault, ...] = ()
    run_templates: tuple[RunTemplateDefault, ...] = ()
    tools: ToolPolicy | UnsetType = UNSET
    routing: RoutingPolicy | UnsetType = UNSET
    keep: KeepDefault | UnsetType = UNSET

    @property
    def limits_anything(self) -> bool:
        """Whether a tenant that has nothing but this plan has a limit on money, size, runs or rate."""
        parts = (self.limits, self.run)
        return bool(self.budgets or self.run_templates or self.rate) or any(
            part is not UNSET and as_document(part) for part in parts
        )


def read_plan_defaults(defaults: Mapping[str, Any]) -> PlanDefaults:
    """The defaults, checked as far as they can be without a tenant. Raises `InvalidPlanDefaults`."""
    try:
        plan = msgspec.convert(defaults, PlanDefaults)
    except msgspec.ValidationError as error:
        raise InvalidPlanDefaults(explain(error, PlanDefaults).message) from None
    try:
        scopes = [(_path(budget, slug="any").text, budget.unit) for budget in plan.budgets]
    except InvalidScope as error:
        raise InvalidPlanDefaults(f"A budget's scope, below the tenant, {error}.") from None
    if len(set(scopes)) < len(scopes):
        raise InvalidPlanDefaults("Two budgets have the same scope and unit.")
    if any(
        budget.period == Period.ONE_OFF and (budget.rollover != Rollover.NONE or budget.period_allocation is not None)
        for budget in plan.budgets
    ):
        raise InvalidPlanDefaults("A budget without a period has neither rollover nor period_allocation.")
    names = {template.name for template in plan.run_templates}
    if len(names) < len(plan.run_templates) or sum(template.is_default for template in plan.run_templates) > 1:
        raise InvalidPlanDefaults("Run templates have different names, and at most one is the default.")
    if plan.tools is not UNSET:
        try:
            check_tools(plan.tools, at="tools.")
        except InvalidPolicy as error:
            raise InvalidPlanDefaults(str(error)) from None
    return plan


def read_new_plan(defaults: Mapping[str, Any]) -> PlanDefaults:
    """As `read_plan_defaults`, for a version that is to be published: it must limit something."""
    plan = read_plan_defaults(defaults)
    if not plan.limits_anything:
        raise InvalidPlanDefaults(
            "The plan would leave a tenant without any limit. Give it a budget, a run template, limits, run or rate."
        )
    return plan


def apply_plan_defaults(journal: Journal, plan: PlanDefaults) -> None:
    """Open what the plan gives, in empty books."""
    for budget in plan.budgets:
        open_budget_in(
            journal,
            NewBudget(
                scope=_path(budget, slug=journal.head.slug),
                unit=budget.unit,
                allocated=budget.allocated,
                overdraft_limit=budget.overdraft_limit,
                period=budget.period,
                rollover=budget.rollover,
                period_allocation=budget.period_allocation,
            ),
        )
    for template in plan.run_templates:
        create_template_in(
            journal, name=template.name, unit=template.unit, amount=template.amount, is_default=template.is_default
        )


def scope_of(slug: str, below: str) -> str:
    """The path of a scope that a plan names below the tenant."""
    return f"tenant:{slug}/{below.lower()}" if below else f"tenant:{slug}"


def _path(budget: BudgetDefault, *, slug: str) -> ScopePath:
    return read_scope_path(scope_of(slug, budget.scope), slug=slug)

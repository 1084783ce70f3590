"""Plans as pages show them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from budgets.services.plan_defaults import InvalidPlanDefaults, PlanDefaults, read_plan_defaults
from budgets.services.rule_parts import as_document
from kernel.pages.amounts import amount_text
from routing.console.limit_words import LimitGroup, limit_groups
from routing.rules.effective import PlanSource, effective_rules
from routing.selectors.effective_limits import EffectiveLimit, plain_limits

if TYPE_CHECKING:
    from tenants.models import Plan

_PERIODS: Final = {"DAY": " a day", "WEEK": " a week", "MONTH": " a month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One version. `tenants` are on this one, `others` on earlier ones of the same plan."""

    code: str
    version: int
    name: str
    price: int
    published_at: datetime
    tenants: int
    others: int
    gives: str


def plan_row(plan: "Plan", counts: dict[tuple[str, int], int]) -> PlanRow:
    others = sum(count for (code, version), count in counts.items() if code == plan.code and version != plan.version)
    return PlanRow(
        code=plan.code,
        version=plan.version,
        name=plan.name,
        price=plan.price,
        published_at=plan.created_at,
        tenants=counts.get((plan.code, plan.version), 0),
        others=others,
        gives=gives_words(plan.defaults),
    )


def gives_words(defaults: Any) -> str:
    """The money that the plan gives, in one line."""
    plan = _read(defaults)
    if plan is None:
        return "cannot be read by this release"
    budgets = [
        f"{amount_text(budget.allocated_a_period, budget.unit)}{_PERIODS.get(budget.period, '')}"
        f"{f' for {budget.scope}' if budget.scope else ''}"
        for budget in plan.budgets
    ]
    return ", ".join(budgets) or "no money of its own"


def plan_limits(plan: "Plan") -> list[LimitGroup]:
    """Everything that a version gives, in words; nothing where this release cannot read it."""
    defaults = _read(plan.defaults)
    if defaults is None:
        return []
    source = PlanSource(code=plan.code, version=plan.version, defaults=defaults)
    rules = effective_rules(plan=source, policies={})
    limits = [*_money(defaults, source.place), *plain_limits(rules)]
    if rules.routing is not None:
        limits += [
            EffectiveLimit(f"tiers.{tier}", list(models), source.place) for tier, models in rules.routing.tiers.items()
        ]
    if defaults.tools is not UNSET:
        limits.append(EffectiveLimit("tools", as_document(defaults.tools), source.place))
    return limit_groups(limits)


def _money(defaults: PlanDefaults, place: str) -> list[EffectiveLimit]:
    budgets = [
        EffectiveLimit(
            f"budget.{budget.scope or 'the tenant'}{_PERIODS.get(budget.period, '')}",
            budget.allocated_a_period,
            place,
            str(budget.unit),
        )
        for budget in defaults.budgets
    ]
    templates = [
        EffectiveLimit(f"run_template.{template.name}", template.amount, place, str(template.unit))
        for template in defaults.run_templates
    ]
    return budgets + templates


def _read(defaults: Any) -> PlanDefaults | None:
    try:
        return read_plan_defaults(defaults)
    except InvalidPlanDefaults:
        return None

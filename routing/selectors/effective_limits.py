"""Every limit that holds for a tenant, with its value and the place that it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET

from budgets.selectors.granted import budgets_at, run_templates, slug_and_time_zone
from budgets.services.action_policy import read_action_policy
from budgets.services.action_rules import action_rules
from budgets.services.plan_defaults import PlanDefaults, scope_of
from budgets.services.policies import PolicyKind
from budgets.services.rule_parts import as_document
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.rules.effective import EffectiveRules, PlanSource, Policies, effective_rules
from routing.selectors.rule_sources import Own, plan_source, read_own

IN_THE_BOOKS: Final = "set in the books"
_CAPS: Final = ("iterations_max", "input_tokens_max", "output_tokens_max", "context_target_tokens", "priority")


@dataclass(frozen=True, slots=True)
class EffectiveLimit:
    """`name` is dotted, as in `limits.input_tokens_max`; `unit` is set for amounts of money, tokens and the like."""

    name: str
    value: Any
    place: str
    unit: str | None = None


def effective_limits(*, tag: Tag) -> list[EffectiveLimit]:
    """All of them: money, size, runs, rate, classes, tools, actions. The books' part is as the books have it now."""
    with in_tenant(tag):
        own = read_own()
        slug, _ = slug_and_time_zone()
    return limits_of(own, tag=tag, slug=slug)


def limits_of(own: Own, *, tag: Tag, slug: str) -> list[EffectiveLimit]:
    """The same, of what the tenant `slug` says itself. Three queries."""
    plan = plan_source(*own.plan) if own.plan else None
    rules = effective_rules(plan=plan, policies=own.policies)
    with in_tenant(tag):
        money = [*_budgets(slug, plan), *_templates(plan)]
    return [
        *money,
        *plain_limits(rules),
        *_of_classes(rules),
        *_tools(plan, own.policies),
        *_actions(own.policies, slug),
    ]


def plain_limits(rules: EffectiveRules) -> Iterator[EffectiveLimit]:
    """What a plan gives and an override replaces."""
    for part, group in (("limits", rules.limits), ("run", rules.run), ("rate", rules.rate)):
        for name, held in group.items():
            yield EffectiveLimit(f"{part}.{name}", held.value, held.place)
    for name, held in rules.single.items():
        yield EffectiveLimit(name, held.value, held.place)


def _budgets(slug: str, plan: PlanSource | None) -> Iterator[EffectiveLimit]:
    defaults = PlanDefaults() if plan is None else plan.defaults
    given = {(scope_of(slug, budget.scope), str(budget.unit)): budget for budget in defaults.budgets}
    for budget in budgets_at(scope for scope, _ in given):
        granted = given.get((budget.scope_path, budget.unit))
        amount = budget.allocated if budget.period_ends_at is None else budget.period_allocation
        of_plan = None if granted is None else granted.allocated_a_period
        place = plan.place if plan is not None and amount == of_plan else IN_THE_BOOKS
        period = "" if budget.period_ends_at is None else f" a {budget.period.lower()}"
        yield EffectiveLimit(f"budget.{budget.scope_path}{period}", amount, place, budget.unit)


def _templates(plan: PlanSource | None) -> Iterator[EffectiveLimit]:
    given = {} if plan is None else {template.name: template for template in plan.defaults.run_templates}
    for template in run_templates():
        granted = given.get(template.name)
        is_of_plan = granted is not None and (granted.amount, str(granted.unit)) == (template.amount, template.unit)
        place = plan.place if plan is not None and is_of_plan else IN_THE_BOOKS
        yield EffectiveLimit(f"run_template.{template.name}", template.amount, place, template.unit)


def _of_classes(rules: EffectiveRules) -> Iterator[EffectiveLimit]:
    if rules.routing is None:
        return
    for name, traffic in rules.routing.classes.items():
        plain = as_document(traffic)
        for cap in _CAPS:
            if cap in plain:
                yield EffectiveLimit(f"classes.{name}.{cap}", plain[cap], f"class {name} of {rules.routing_place}")
    for tier, models in rules.routing.tiers.items():
        yield EffectiveLimit(f"tiers.{tier}", list(rules.usable(models)), rules.routing_place)
    if rules.routing.low_water is not UNSET:
        for name, share in as_document(rules.routing.low_water).items():
            yield EffectiveLimit(f"low_water.{name}", share, rules.routing_place)


def _tools(plan: PlanSource | None, policies: Policies) -> Iterator[EffectiveLimit]:
    own = policies.get(PolicyKind.TOOLS)
    if own is not None and own.document:
        yield EffectiveLimit("tools", dict(own.document), own.place)
    elif plan is not None and plan.defaults.tools is not UNSET:
        yield EffectiveLimit("tools", as_document(plan.defaults.tools), plan.place)


def _actions(policies: Policies, slug: str) -> Iterator[EffectiveLimit]:
    own = policies.get(PolicyKind.ACTIONS)
    if own is None:
        return
    rules: Mapping[str, Any] = action_rules(read_action_policy(own.document, slug=slug), slug=slug)
    for policy in rules["policies"]:
        for name in ("allowed", "denied"):
            if policy[name]:
                yield EffectiveLimit(f"actions.{policy['id']}.{name}", policy[name], own.place)
    for quota in rules["quotas"]:
        yield EffectiveLimit(f"actions.{quota['id']}", quota["limit"], own.place)

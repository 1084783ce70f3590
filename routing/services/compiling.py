"""From what people decided to what decisions read: plan, policies and prices compiled into one document. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from budgets.services.action_policy import read_action_policy
from budgets.services.action_rules import action_rules
from budgets.services.policies import PolicyKind
from budgets.services.policy_refusal import read_part
from budgets.services.rule_parts import as_document
from budgets.services.shadow_policy import RouterSwitchPolicy, read_shadow_policy
from routing.pricing.book import PriceBook
from routing.rules.effective import EffectiveRules, PlanSource, Policies, effective_rules
from routing.rules.tools import tool_policy_of
from routing.services.compiled_routes import compiled_routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """All that the rules are made of. `slug` is the tenant's, `catalogue` the models that some plan names.

    `at` is when they are compiled: what has ended by then is left out.
    """

    slug: str
    plan: PlanSource | None
    policies: Policies
    book: PriceBook
    catalogue: tuple[str, ...] = ()
    #: What settlements taught about estimates of input: parts per million by the model's name.
    input_factors: Mapping[str, int] = field(default_factory=dict)
    at: datetime | None = None


def compile_ruleset(sources: Sources) -> dict[str, Any]:
    """The document, as `budgets.services.ruleset` says it. The same sources give the same document.

    Empty where neither plan nor policies say anything: a price alone is no rule.
    """
    rules = effective_rules(plan=sources.plan, policies=sources.policies)
    parts = (
        _limits(rules)
        | compiled_routes(rules, book=sources.book, catalogue=sources.catalogue, input_factors=sources.input_factors)
        | _tools(sources)
        | _own(sources)
    )
    document = {name: value for name, value in parts.items() if value not in ({}, [])}
    tool_prices = dict(sources.book.tools())
    return document | {"tool_prices": tool_prices} if document and tool_prices else document


def _limits(rules: EffectiveRules) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "limits": {name: held.value for name, held in rules.limits.items()},
        "run": {name: held.value for name, held in rules.run.items()},
        "rate": [held.value for held in rules.rate.values()],
    }
    return parts | {name: held.value for name, held in rules.single.items() if name != "models"}


def _tools(sources: Sources) -> dict[str, Any]:
    tools, version = tool_policy_of(plan=sources.plan, policies=sources.policies)
    return {} if tools is None else {"tools": tools.as_rules(version=version)}


def _own(sources: Sources) -> dict[str, Any]:
    """What no plan says: actions, shadow mode, and the switch that takes the router out."""
    parts: dict[str, Any] = {}
    actions = read_action_policy(_document(sources, PolicyKind.ACTIONS), slug=sources.slug)
    if actions.policies:
        parts["actions"] = action_rules(actions, slug=sources.slug)
    shadow = read_shadow_policy(_document(sources, PolicyKind.SHADOW), slug=sources.slug)
    if shadow.is_any and not shadow.is_over(sources.at):
        parts["shadow"] = as_document(shadow) | {"scopes": [scope.lower() for scope in shadow.scopes]}
    switch = read_part(_document(sources, PolicyKind.ROUTER_SWITCH), RouterSwitchPolicy)
    if switch.is_on:
        parts["force_tier"] = str(switch.tier)
    return parts


def _document(sources: Sources, kind: PolicyKind) -> Mapping[str, Any]:
    policy = sources.policies.get(kind)
    return {} if policy is None else policy.document

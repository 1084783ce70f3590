"""Checking a version of a plan that is to be published: its shape, its limits, and the models that it routes to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET

from budgets.services.plan_defaults import InvalidPlanDefaults, read_new_plan
from budgets.services.policies import InvalidPolicy
from routing.rules.effective import PlanSource, effective_rules
from routing.selectors.rule_sources import prices_of
from routing.services.routing_checks import check_models_left, check_routing


def check_new_plan(defaults: Mapping[str, Any], *, now: datetime) -> None:
    """Refuse what could not be published. Raises `InvalidPlanDefaults`."""
    plan = read_new_plan(defaults)
    if plan.routing is UNSET:
        return
    rules = effective_rules(plan=PlanSource(code="the", version=1, defaults=plan), policies={})
    try:
        check_routing(plan.routing, rules=rules, book=prices_of(plan.routing.named_models, tag=None, at=now))
        check_models_left(rules)
    except InvalidPolicy as error:
        raise InvalidPlanDefaults(f"routing.{error}") from None

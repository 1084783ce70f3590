"""How a change of plan looks in an answer."""

from typing import Any

from rest_framework import serializers

from budgets.api.management.fields import amount, optional_amount
from kernel.http.serialized import AmountFields, Fields
from routing.api.management.fields import EffectiveLimitFields, limit_facts
from routing.services.plan_comparison import PlanChange


class LimitChangeFields(Fields):
    """A limit that changes; null where there is none."""

    name = serializers.CharField()
    before = EffectiveLimitFields(allow_null=True)
    after = EffectiveLimitFields(allow_null=True)


class BudgetStepFields(Fields):
    """What becomes of a budget; `kept`: it was set otherwise by hand, and stays."""

    scope = serializers.CharField()
    becomes = serializers.CharField(help_text="opened, changed or kept")
    allocated_before = AmountFields()
    allocated_after = AmountFields(help_text="Prorated for what is left of the period, never below what is used.")
    used = AmountFields(help_text="Spent, held and owed.")
    period = serializers.CharField()


class TemplateStepFields(Fields):
    name = serializers.CharField()
    becomes = serializers.CharField(help_text="made, changed, removed or kept")
    before = AmountFields(allow_null=True)
    after = AmountFields(allow_null=True)


class OverFields(Fields):
    """A limit that is passed the moment the plan changes."""

    name = serializers.CharField()
    used = serializers.IntegerField()
    limit = serializers.IntegerField()
    unit = serializers.CharField(allow_null=True)


class PlanChangeFields(Fields):
    """What changes, and what is over its limit at once."""

    plan_before = serializers.CharField(allow_null=True)
    plan_after = serializers.CharField()
    at = serializers.DateTimeField()
    is_now = serializers.BooleanField()
    limits = LimitChangeFields(many=True)
    budgets = BudgetStepFields(many=True)
    run_templates = TemplateStepFields(many=True)
    over = OverFields(many=True)


def change_facts(change: PlanChange) -> dict[str, Any]:
    """The change as answers show it."""
    return {
        "plan_before": change.plan_before,
        "plan_after": change.plan_after,
        "at": change.at,
        "is_now": change.is_now,
        "limits": [
            {"name": limit.name, "before": limit_facts(limit.before), "after": limit_facts(limit.after)}
            for limit in change.limits
        ],
        "budgets": [
            {
                "scope": step.scope,
                "becomes": step.kind,
                "allocated_before": amount(step.unit, step.before),
                "allocated_after": amount(step.unit, step.after),
                "used": amount(step.unit, step.used),
                "period": step.period,
            }
            for step in change.money.budgets
        ],
        "run_templates": [
            {
                "name": step.name,
                "becomes": step.kind,
                "before": optional_amount(step.unit, step.before),
                "after": optional_amount(step.unit, step.after),
            }
            for step in change.money.templates
        ],
        "over": [
            {"name": over.name, "used": over.used, "limit": over.limit, "unit": over.unit} for over in change.over
        ],
    }

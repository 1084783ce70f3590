"""Plans over the management API. A version is never edited: a change is the next version."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import KeyedView, answer
from budgets.api.management.fields import amount
from budgets.api.management.refusals import REFUSALS
from kernel.http.described import described
from kernel.http.errors import error_of_status, invalid_request
from kernel.http.serialized import AmountFields, Fields, FreeObject, ReasonFields, Text
from kernel.money import Unit
from routing.services.plan_checks import check_new_plan
from tenants.selectors.plans import latest_plans, plan_versions
from tenants.services.plans import publish_plan

if TYPE_CHECKING:
    from tenants.models import Plan

_TAG = "plans"
_DEFAULTS = (
    "What a new tenant starts with: `budgets` (scope below the tenant, unit, allocated, overdraft_limit, period, "
    "rollover, period_allocation) and `run_templates` (name, unit, amount, is_default). What holds while it is on the "
    "plan: `limits`, `run`, `rate`, `tools`, `routing`, `models`, `priority`, `on_exhaustion`, `share_weight`, each "
    "as in the policies. Amounts are plain integers. At least one of them must be a limit."
)


class PlanFields(Fields):
    """One version of a plan."""

    code = serializers.CharField()
    version = serializers.IntegerField()
    name = serializers.CharField()
    price = AmountFields(help_text="A month, in USD_MICROCENTS.")
    defaults = FreeObject(help_text=_DEFAULTS)
    created_at = serializers.DateTimeField()


class PlanListFields(Fields):
    plans = PlanFields(many=True)


class NewPlanFields(ReasonFields):
    """The next version of a plan, or the first of a new one."""

    code = Text(max_length=64, help_text="a-z 0-9 - _")
    name = Text(max_length=256)
    price = AmountFields(help_text="A month, in USD_MICROCENTS.")
    defaults = FreeObject(required=False, help_text=_DEFAULTS)


class Plans(KeyedView):
    refusals = REFUSALS

    @described(name="list_plans", summary="The latest version of every plan", tag=_TAG, answer=PlanListFields)
    def get(self, request: Request) -> Response:
        return answer(PlanListFields, {"plans": [_facts(plan) for plan in latest_plans()]})

    @described(
        name="publish_plan",
        summary="The version that was published",
        tag=_TAG,
        body=NewPlanFields,
        answer=PlanFields,
        status=201,
        refusals={409: "Others published versions of this plan at the same moment."},
    )
    def post(self, request: Request) -> Response:
        values = self.body(NewPlanFields)
        code, price = values["code"], values["price"]
        if not code.isascii() or not code.replace("-", "").replace("_", "").isalnum() or code != code.lower():
            raise invalid_request("code must be made of a-z 0-9 - _.", field="code")
        if price["unit"] != Unit.USD_MICROCENTS:
            raise invalid_request("price must be in USD_MICROCENTS.", field="price.unit")
        defaults = values.get("defaults", {})
        check_new_plan(defaults, now=datetime.now(UTC))
        plan = publish_plan(
            code=code,
            name=values["name"],
            price=price["amount"],
            defaults=defaults,
            actor=self.actor(reason=values["reason"]),
            now=datetime.now(UTC),
        )
        return answer(PlanFields, _facts(plan), status=201)


class PlanVersions(KeyedView):
    refusals = REFUSALS

    @described(
        name="list_plan_versions",
        summary="All versions of a plan, the latest first",
        tag=_TAG,
        answer=PlanListFields,
        refusals={404: "NOT_FOUND: no such plan."},
    )
    def get(self, request: Request, code: str) -> Response:
        versions = plan_versions(code)
        if not versions:
            raise error_of_status(404)
        return answer(PlanListFields, {"plans": [_facts(plan) for plan in versions]})


def _facts(plan: "Plan") -> dict[str, Any]:
    return {
        "code": plan.code,
        "version": plan.version,
        "name": plan.name,
        "price": amount(Unit.USD_MICROCENTS, plan.price),
        "defaults": plan.defaults,
        "created_at": plan.created_at,
    }

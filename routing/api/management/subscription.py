"""A tenant's plan over the management API: which it is, what another would change, and the change."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import NeededReasonFields
from budgets.selectors.subscriptions import current_subscription
from kernel.http.described import described
from kernel.http.serialized import Fields, Flag, Integer, Text
from routing.api.management.plan_change_fields import PlanChangeFields, change_facts
from routing.api.management.policies import PolicyView
from routing.services.plan_changes import change_plan, preview_plan

_TAG = "plans"
_AT_MONTH_END = "At the end of the month, in the tenant's time zone, and not now."
_NOT_FOUND = "NOT_FOUND: no such tenant."


class SubscriptionFields(Fields):
    """The plan that a tenant is on, and the one that follows. All null for a tenant without a plan."""

    plan = serializers.CharField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    next_plan = serializers.CharField(allow_null=True)
    next_version = serializers.IntegerField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)


class PlanQuery(Fields):
    """Which plan to look at."""

    plan = Text(max_length=64)
    version = Integer(required=False, min_value=1, help_text="The latest, left out.")
    at_month_end = serializers.ChoiceField(choices=["true", "false"], default="false", help_text=_AT_MONTH_END)


class ChangePlanFields(NeededReasonFields):
    plan = Text(max_length=64)
    version = Integer(required=False, min_value=1, help_text="The latest, left out.")
    at_month_end = Flag(default=False, help_text=_AT_MONTH_END)


class OneSubscription(PolicyView):
    @described(
        name="get_subscription",
        summary="The plan that the tenant is on",
        tag=_TAG,
        answer=SubscriptionFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str) -> Response:
        with self.reading(slug):
            subscription = current_subscription()
        facts: dict[str, Any] = dict.fromkeys(SubscriptionFields().fields)
        if subscription is not None:
            facts = {
                "plan": subscription.plan_code,
                "version": subscription.plan_version,
                "since": subscription.since,
                "next_plan": subscription.next_plan_code,
                "next_version": subscription.next_plan_version,
                "next_at": subscription.next_at,
            }
        return answer(SubscriptionFields, facts)

    @described(
        name="change_plan",
        summary="What has changed, or will at the end of the month. The plan that it is on, now: nothing follows it",
        tag=_TAG,
        body=ChangePlanFields,
        answer=PlanChangeFields,
        refusals={404: _NOT_FOUND, 409: "The tenant's own policies do not fit the plan, or TENANT_CLOSED."},
    )
    def put(self, request: Request, slug: str) -> Response:
        values = self.body(ChangePlanFields)
        change = change_plan(
            tag=self.tenant_with_books(slug).tag,
            code=values["plan"],
            version=values.get("version"),
            at_month_end=values["at_month_end"],
            actor=self.actor(reason=values["reason"], on_behalf=True),
        )
        return answer(PlanChangeFields, change_facts(change))


class SubscriptionPreview(PolicyView):
    @described(
        name="preview_plan",
        summary="What a change of plan would do. Nothing is changed",
        tag=_TAG,
        query=PlanQuery,
        answer=PlanChangeFields,
        refusals={404: _NOT_FOUND, 409: "The tenant's own policies do not fit the plan."},
    )
    def get(self, request: Request, slug: str) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        query = self.query(PlanQuery)
        change = preview_plan(
            tag=self.tenant_with_books(slug).tag,
            code=query["plan"],
            version=query.get("version"),
            at_month_end=query["at_month_end"] == "true",
        )
        return answer(PlanChangeFields, change_facts(change))

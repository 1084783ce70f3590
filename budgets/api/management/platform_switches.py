"""The platform's kill switches over the management API. Operators throw and lift them."""

from datetime import UTC, datetime

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import KeyedView, answer
from budgets.api.management.refusals import REFUSALS
from budgets.api.management.switch_fields import (
    TAG,
    LiftedFields,
    SwitchedFields,
    SwitchPageFields,
    SwitchQuery,
    ThrowFields,
    page_facts,
    stop_of,
    switched_facts,
)
from budgets.selectors.switches import line_of
from budgets.services.platform_stops import stop_platform
from kernel.http.described import described
from kernel.http.serialized import OneOf, ReasonFields, Text
from kernel.ids import PLATFORM_TAG
from kernel.switches import SwitchLevel
from kernel.tenancy import in_public
from tenants.selectors.platform_switches import platform_switch_history, thrown_platform_switches
from tenants.services.platform_switches import lift_platform_switch

_OF_THE_PLATFORM = [SwitchLevel.PLATFORM.value, SwitchLevel.MODEL.value, SwitchLevel.PROVIDER.value]


class ThrowPlatformSwitchFields(ThrowFields):
    level = OneOf(choices=_OF_THE_PLATFORM)


class LiftPlatformSwitchFields(ReasonFields):
    level = OneOf(choices=_OF_THE_PLATFORM)
    name = Text(max_length=256, default="", allow_blank=True)


class PlatformSwitchedFields(SwitchedFields):
    tenants_visited = serializers.IntegerField(help_text="With CANCEL_HOLDS every tenant is visited.")
    tenants_failed = serializers.IntegerField(help_text="They may still hold: send the same request again.")


class PlatformSwitches(KeyedView):
    refusals = REFUSALS

    @described(
        name="list_platform_switches",
        summary="The platform's kill switches, the newest first",
        tag=TAG,
        query=SwitchQuery,
        answer=SwitchPageFields,
    )
    def get(self, request: Request) -> Response:
        query = self.query(SwitchQuery)
        is_now = query["state"] == "thrown"
        with in_public():
            chosen = thrown_platform_switches(now=datetime.now(UTC)) if is_now else platform_switch_history()
            facts = page_facts(chosen, query=query, tag=PLATFORM_TAG, whose="platform switches")
        return answer(SwitchPageFields, facts)

    @described(
        name="throw_platform_switch",
        summary="The switch, which every tenant's next decision reads. Safe to repeat",
        tag=TAG,
        body=ThrowPlatformSwitchFields,
        answer=PlatformSwitchedFields,
    )
    def post(self, request: Request) -> Response:
        values = self.body(ThrowPlatformSwitchFields)
        stopped = stop_platform(stop=stop_of(values), actor=self.actor())
        counts = {"tenants_visited": stopped.tenants_visited, "tenants_failed": stopped.tenants_failed}
        return answer(PlatformSwitchedFields, switched_facts(stopped) | counts)


class PlatformSwitchLift(KeyedView):
    refusals = REFUSALS

    @described(
        name="lift_platform_switch",
        summary="The switch that was lifted, if one was thrown. Safe to repeat",
        tag=TAG,
        body=LiftPlatformSwitchFields,
        answer=LiftedFields,
    )
    def post(self, request: Request) -> Response:
        values = self.body(LiftPlatformSwitchFields)
        lifted = lift_platform_switch(
            level=SwitchLevel(values["level"]),
            name=values["name"],
            reason=values["reason"],
            actor=self.actor(reason=values["reason"]),
        )
        return answer(LiftedFields, {"switch": lifted and line_of(lifted), "is_changed": lifted is not None})

"""A tenant's kill switches over the management API. Operators throw and lift them."""

from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.switch_fields import (
    TAG,
    LiftedFields,
    SwitchedFields,
    SwitchPageFields,
    SwitchQuery,
    ThrowFields,
    ThrownFields,
    page_facts,
    stop_of,
    switched_facts,
)
from budgets.api.management.views import TenantView
from budgets.selectors.switches import line_of, switch_history, thrown_switches
from budgets.services.switches import lift_switch, throw_switch
from kernel.http.described import described
from kernel.http.serialized import OneOf, ReasonFields, Text
from kernel.switches import SwitchLevel
from kernel.tenancy import in_public
from tenants.selectors.platform_switches import thrown_platform_switches

_NOT_FOUND = "NOT_FOUND: no such tenant."
_CLOSED = "TENANT_CLOSED: it is closed, and stays so."
_OF_A_TENANT = [level for level in SwitchLevel.values if level != SwitchLevel.PLATFORM]
#: More platform switches than anybody throws at once.
_PLATFORM_SHOWN_MAX = 200


class TenantSwitchPageFields(SwitchPageFields):
    platform = ThrownFields(many=True, help_text="What is stopped for every tenant now.")


class ThrowTenantSwitchFields(ThrowFields):
    level = OneOf(choices=_OF_A_TENANT)


class LiftTenantSwitchFields(ReasonFields):
    level = OneOf(choices=_OF_A_TENANT)
    name = Text(max_length=256, default="", allow_blank=True)


class TenantSwitches(TenantView):
    @described(
        name="list_tenant_switches",
        summary="The tenant's kill switches, the newest first, and what the platform has stopped",
        tag=TAG,
        query=SwitchQuery,
        answer=TenantSwitchPageFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str) -> Response:
        query, now = self.query(SwitchQuery), datetime.now(UTC)
        self.tenant(slug)
        self.require_whole_tenant()
        with self.reading(slug) as tenant:
            chosen = thrown_switches(now=now) if query["state"] == "thrown" else switch_history()
            facts = page_facts(chosen, query=query, tag=tenant.tag, whose="switches")
        with in_public():
            newest = thrown_platform_switches(now=now).order_by("-thrown_at")[:_PLATFORM_SHOWN_MAX]
            everywhere = [line_of(switch) for switch in newest]
        return answer(TenantSwitchPageFields, facts | {"platform": everywhere})

    @described(
        name="throw_tenant_switch",
        summary="The switch; nothing that it stops is under way any more. Safe to repeat",
        tag=TAG,
        body=ThrowTenantSwitchFields,
        answer=SwitchedFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(ThrowTenantSwitchFields)
        tag = self.tenant_with_books(slug).tag
        switched = throw_switch(tag=tag, stop=stop_of(values), actor=self.actor(on_behalf=True))
        return answer(SwitchedFields, switched_facts(switched))


class TenantSwitchLift(TenantView):
    @described(
        name="lift_tenant_switch",
        summary="The switch that was lifted, if one was thrown. Safe to repeat",
        tag=TAG,
        body=LiftTenantSwitchFields,
        answer=LiftedFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(LiftTenantSwitchFields)
        lifted = lift_switch(
            tag=self.tenant_with_books(slug).tag,
            level=SwitchLevel(values["level"]),
            name=values["name"],
            reason=values["reason"],
            actor=self.actor(on_behalf=True),
        )
        return answer(LiftedFields, {"switch": lifted, "is_changed": lifted is not None})

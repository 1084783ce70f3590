"""Kill switches over the management API: a tenant's, and the platform's. Operators throw and lift them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import KeyedView, answer
from budgets.api.management.pages import PageFields, PageQuery, page_of
from budgets.api.management.refusals import REFUSALS
from budgets.api.management.views import TenantView
from budgets.selectors.switches import line_of, switch_history, thrown_switches
from budgets.services.platform_stops import PlatformStopped, stop_platform
from budgets.services.switches import Switched, lift_switch, throw_switch
from kernel.http.described import described
from kernel.http.serialized import Fields, OneOf, ReasonFields, Text
from kernel.ids import PLATFORM_TAG
from kernel.switches import Switch, SwitchLevel, SwitchMode
from kernel.tenancy import in_public
from tenants.selectors.platform_switches import platform_switch_history, thrown_platform_switches
from tenants.services.platform_switches import lift_platform_switch

_TAG = "kill switches"
_NOT_FOUND = "NOT_FOUND: no such tenant."
_CLOSED = "TENANT_CLOSED: it is closed, and stays so."
_OF_THE_PLATFORM = [SwitchLevel.PLATFORM.value, SwitchLevel.MODEL.value, SwitchLevel.PROVIDER.value]
_OF_A_TENANT = [level for level in SwitchLevel.values if level != SwitchLevel.PLATFORM]
#: More platform switches than anybody throws at once.
_PLATFORM_SHOWN_MAX = 200


class ThrownFields(Fields):
    """What is stopped, how, why and until when."""

    level = OneOf(choices=SwitchLevel.values)
    name = serializers.CharField(help_text="Empty for a whole tenant or the platform.")
    mode = OneOf(choices=SwitchMode.values)
    reason = serializers.CharField()
    thrown_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True, help_text="Null: until it is lifted.")


class SwitchFields(ThrownFields):
    """One kill switch, thrown or over."""

    actor = serializers.CharField()
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.CharField()


class SwitchPageFields(PageFields):
    switches = SwitchFields(many=True)


class TenantSwitchPageFields(SwitchPageFields):
    platform = ThrownFields(many=True, help_text="What is stopped for every tenant now.")


class SwitchQuery(PageQuery):
    """Which switches."""

    state = OneOf(choices=["thrown", "all"], default="thrown", help_text="all: those that are over, too.")


class _ThrowFields(Fields):
    """How it is stopped. Sent again with another mode, reason or end, a thrown switch is changed."""

    name = Text(max_length=256, default="", allow_blank=True, help_text="Left out for a whole tenant or the platform.")
    mode = OneOf(
        choices=SwitchMode.values,
        default=SwitchMode.STOP_NEW.value,
        help_text="STOP_NEW: running work may settle. CANCEL_HOLDS: what it holds is given back.",
    )
    reason = Text(max_length=512, help_text="Shown to every caller that is refused.")
    ends_at = serializers.DateTimeField(required=False, help_text="It ends by itself then; left out, it stays.")


class ThrowTenantSwitchFields(_ThrowFields):
    level = OneOf(choices=_OF_A_TENANT)


class ThrowPlatformSwitchFields(_ThrowFields):
    level = OneOf(choices=_OF_THE_PLATFORM)


class LiftTenantSwitchFields(ReasonFields):
    level = OneOf(choices=_OF_A_TENANT)
    name = Text(max_length=256, default="", allow_blank=True)


class LiftPlatformSwitchFields(ReasonFields):
    level = OneOf(choices=_OF_THE_PLATFORM)
    name = Text(max_length=256, default="", allow_blank=True)


class SwitchedFields(Fields):
    """What became of it."""

    switch = SwitchFields()
    is_changed = serializers.BooleanField(help_text="False where it said so already.")
    holds_released = serializers.IntegerField()


class PlatformSwitchedFields(SwitchedFields):
    tenants_visited = serializers.IntegerField(help_text="With CANCEL_HOLDS every tenant is visited.")
    tenants_failed = serializers.IntegerField(help_text="They may still hold: send the same request again.")


class LiftedFields(Fields):
    """The switch that was lifted; null where none was thrown."""

    switch = SwitchFields(allow_null=True)
    is_changed = serializers.BooleanField()


class TenantSwitches(TenantView):
    @described(
        name="list_tenant_switches",
        summary="The tenant's kill switches, the newest first, and what the platform has stopped",
        tag=_TAG,
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
            page = page_of(
                chosen,
                order=("thrown_at", "id"),
                descending=True,
                query=query,
                tag=tenant.tag,
                binding=["switches", query["state"]],
            )
        with in_public():
            everywhere = _lines(thrown_platform_switches(now=now).order_by("-thrown_at")[:_PLATFORM_SHOWN_MAX])
        facts = page.facts("switches", _lines(page.rows)) | {"platform": everywhere}
        return answer(TenantSwitchPageFields, facts)

    @described(
        name="throw_tenant_switch",
        summary="The switch; nothing that it stops is under way any more. Safe to repeat",
        tag=_TAG,
        body=ThrowTenantSwitchFields,
        answer=SwitchedFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(ThrowTenantSwitchFields)
        tag = self.tenant_with_books(slug).tag
        switched = throw_switch(tag=tag, actor=self.actor(on_behalf=True), **_terms(values))
        return answer(SwitchedFields, _switched(switched))


class TenantSwitchLift(TenantView):
    @described(
        name="lift_tenant_switch",
        summary="The switch that was lifted, if one was thrown. Safe to repeat",
        tag=_TAG,
        body=LiftTenantSwitchFields,
        answer=LiftedFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(LiftTenantSwitchFields)
        level = SwitchLevel(values["level"])
        lifted = lift_switch(
            tag=self.tenant_with_books(slug).tag,
            level=level,
            name=values["name"],
            reason=values["reason"],
            actor=self.actor(on_behalf=True),
        )
        return answer(LiftedFields, {"switch": lifted, "is_changed": lifted is not None})


class PlatformSwitches(KeyedView):
    refusals = REFUSALS

    @described(
        name="list_platform_switches",
        summary="The platform's kill switches, the newest first",
        tag=_TAG,
        query=SwitchQuery,
        answer=SwitchPageFields,
    )
    def get(self, request: Request) -> Response:
        query = self.query(SwitchQuery)
        is_now = query["state"] == "thrown"
        with in_public():
            chosen = thrown_platform_switches(now=datetime.now(UTC)) if is_now else platform_switch_history()
            page = page_of(
                chosen,
                order=("thrown_at", "id"),
                descending=True,
                query=query,
                tag=PLATFORM_TAG,
                binding=["platform switches", query["state"]],
            )
        return answer(SwitchPageFields, page.facts("switches", _lines(page.rows)))

    @described(
        name="throw_platform_switch",
        summary="The switch, which every tenant's next decision reads. Safe to repeat",
        tag=_TAG,
        body=ThrowPlatformSwitchFields,
        answer=PlatformSwitchedFields,
    )
    def post(self, request: Request) -> Response:
        values = self.body(ThrowPlatformSwitchFields)
        stopped = stop_platform(actor=self.actor(), **_terms(values))
        counts = {"tenants_visited": stopped.tenants_visited, "tenants_failed": stopped.tenants_failed}
        return answer(PlatformSwitchedFields, _switched(stopped) | counts)


class PlatformSwitchLift(KeyedView):
    refusals = REFUSALS

    @described(
        name="lift_platform_switch",
        summary="The switch that was lifted, if one was thrown. Safe to repeat",
        tag=_TAG,
        body=LiftPlatformSwitchFields,
        answer=LiftedFields,
    )
    def post(self, request: Request) -> Response:
        values = self.body(LiftPlatformSwitchFields)
        level = SwitchLevel(values["level"])
        lifted = lift_platform_switch(
            level=level, name=values["name"], reason=values["reason"], actor=self.actor(reason=values["reason"])
        )
        return answer(LiftedFields, {"switch": lifted and line_of(lifted), "is_changed": lifted is not None})


def _terms(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"level": SwitchLevel(values["level"]), "mode": SwitchMode(values["mode"])}


def _switched(switched: Switched | PlatformStopped) -> dict[str, Any]:
    names = ("switch", "is_changed", "holds_released")
    return {name: getattr(switched, name) for name in names}


def _lines(switches: Iterable[Switch]) -> list[Any]:
    return [line_of(switch) for switch in switches]

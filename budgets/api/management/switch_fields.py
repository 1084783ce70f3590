"""What callers send and get about a kill switch, be it a tenant's or the platform's."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from budgets.api.management.pages import PageFields, PageQuery, page_of
from budgets.selectors.switches import line_of
from budgets.services.platform_stops import PlatformStopped
from budgets.services.switches import Switched
from kernel.http.serialized import Fields, OneOf, Text
from kernel.ids import Tag
from kernel.stops import Stop
from kernel.switches import Switch, SwitchLevel, SwitchMode

TAG = "kill switches"


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


class SwitchQuery(PageQuery):
    """Which switches."""

    state = OneOf(choices=["thrown", "all"], default="thrown", help_text="all: those that are over, too.")


class ThrowFields(Fields):
    """How it is stopped. Sent again with another mode, reason or end, a thrown switch is changed."""

    name = Text(max_length=256, default="", allow_blank=True, help_text="Left out for a whole tenant or the platform.")
    mode = OneOf(
        choices=SwitchMode.values,
        default=SwitchMode.STOP_NEW.value,
        help_text="STOP_NEW: running work may settle. CANCEL_HOLDS: what it holds is given back.",
    )
    reason = Text(max_length=512, help_text="Shown to every caller that is refused.")
    ends_at = serializers.DateTimeField(required=False, help_text="It ends by itself then; left out, it stays.")


class SwitchedFields(Fields):
    """What became of it."""

    switch = SwitchFields()
    is_changed = serializers.BooleanField(help_text="False where it said so already.")
    holds_released = serializers.IntegerField()


class LiftedFields(Fields):
    """The switch that was lifted; null where none was thrown."""

    switch = SwitchFields(allow_null=True)
    is_changed = serializers.BooleanField()


def page_facts[S: Switch](chosen: QuerySet[S], *, query: dict[str, Any], tag: Tag, whose: str) -> dict[str, Any]:
    """The newest of them first, for `SwitchPageFields`. `whose` keeps a cursor to the list that it came from."""
    page = page_of(
        chosen,
        order=("thrown_at", "id"),
        descending=True,
        query=query,
        tag=tag,
        binding=[whose, query["state"]],
    )
    return page.facts("switches", [line_of(switch) for switch in page.rows])


def stop_of(values: dict[str, Any]) -> Stop:
    return Stop(**values | {"level": SwitchLevel(values["level"]), "mode": SwitchMode(values["mode"])})


def switched_facts(switched: Switched | PlatformStopped) -> dict[str, Any]:
    return {name: getattr(switched, name) for name in ("switch", "is_changed", "holds_released")}

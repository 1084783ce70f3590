"""Sending events of a while again."""

from typing import Any, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.api.management.refusals import conflict
from budgets.api.webhooks.base import CLOSED, NOT_FOUND, TAG, WebhookView
from kernel.http.described import described
from kernel.http.errors import invalid_request, require_order
from kernel.http.serialized import Fields, Integer, Text
from telemetry.services.webhooks.replay import (
    EVENTS_MAX,
    NotListening,
    ReplayInProgress,
    TooManyEvents,
    Window,
    replay_events,
)
from tenants.services.webhook_due import lower_due

#: Sequential to one receiver; what it takes is for the receiver to say.
_EVENTS_A_SECOND: Final = 100


class ReplayFields(Fields):
    """Which events: those between two times, both included."""

    to = serializers.DateTimeField(required=False)
    event_types = serializers.ListField(child=Text(max_length=128), max_length=100, required=False)
    max_events = Integer(min_value=1, max_value=EVENTS_MAX, default=100)

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False)}


class ReplayedFields(Fields):
    replay_id = serializers.CharField()
    events_queued = serializers.IntegerField()
    estimated_completion_seconds = serializers.IntegerField()


class ReplayView(WebhookView):
    refusals = {
        **WebhookView.refusals,
        NotListening: lambda _: conflict("The subscription is paused or disabled. Make it ACTIVE first."),
        ReplayInProgress: lambda _: conflict(
            "An earlier replay to this subscription has not ended. Wait for it.", reason="REPLAY_IN_PROGRESS"
        ),
        TooManyEvents: lambda _: invalid_request(
            "max_events is less than there are between from and to. Name a shorter while, or more events.",
            field="max_events",
        ),
    }

    def replayed(self, subscription_id: str) -> Response:
        values = self.body(ReplayFields)
        since, until = values.get("from"), values.get("to")
        require_order(values, "from", "to")
        owner, pk = self.owner_by_id(subscription_id)
        window = Window(
            since=since,
            until=until,
            event_types=values.get("event_types", ()),
            events_max=values["max_events"],
        )
        with self.changing(owner) as (actor, now):
            replay = replay_events(pk, window, owner=owner, actor=actor, now=now)
        lower_due(tag=owner.tag, at=now)
        facts = {
            "replay_id": f"replay_{replay.id.hex}",
            "events_queued": replay.events,
            "estimated_completion_seconds": -(-replay.events // _EVENTS_A_SECOND),
        }
        return Response(facts, status=202)


class WebhookReplay(ReplayView):
    @described(
        name="replay_webhook",
        summary="How many events are sent again, in their order",
        tag=TAG,
        body=ReplayFields,
        answer=ReplayedFields,
        status=202,
        refusals={404: NOT_FOUND, 409: f"A replay is under way, or the subscription is not ACTIVE, or {CLOSED}"},
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        return self.replayed(subscription_id)


class AdminWebhookReplay(ReplayView):
    @described(
        name="replay_any_webhook",
        summary="How many events are sent again, in their order",
        tag=TAG,
        body=ReplayFields,
        answer=ReplayedFields,
        status=202,
        refusals={404: NOT_FOUND, 409: f"A replay is under way, or the subscription is not ACTIVE, or {CLOSED}"},
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        return self.replayed(subscription_id)

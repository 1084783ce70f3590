"""What became of deliveries, and a test message, over the protocol's management endpoints."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.api.management.pages import page_of
from budgets.api.webhooks.base import CLOSED, NOT_FOUND, TAG, WebhookView, WirePageQuery
from budgets.api.webhooks.subscriptions import wire_page
from kernel.http.described import described
from kernel.http.errors import require_order
from kernel.http.serialized import Fields, OneOf
from telemetry.event_owner import Owner
from telemetry.selectors.events import wire_time
from telemetry.selectors.webhooks import deliveries, event_id_of
from telemetry.services.webhooks.ping import note_ping, ping
from telemetry.services.webhooks.subscriptions import subscription_id as wire_id_of
from telemetry.webhook_states import DeliveryStatus
from tenants.services.webhook_visits import in_schema_of

if TYPE_CHECKING:
    from telemetry.models import WebhookDelivery, WebhookSubscription


class DeliveryQuery(WirePageQuery):
    """Which deliveries, by the time at which they were made."""

    status = OneOf(choices=DeliveryStatus.values, required=False)
    to = serializers.DateTimeField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False)}


class DeliveryFields(Fields):
    delivery_id = serializers.CharField()
    subscription_id = serializers.CharField()
    event_id = serializers.CharField()
    event_type = serializers.CharField()
    status = serializers.ChoiceField(choices=DeliveryStatus.values)
    attempted_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(required=False)
    attempts = serializers.IntegerField()
    response_status = serializers.IntegerField(required=False)
    response_time_ms = serializers.IntegerField(required=False)
    error_message = serializers.CharField(required=False)
    next_retry_at = serializers.DateTimeField(required=False)
    trace_id = serializers.CharField(required=False)


class DeliveryPageFields(Fields):
    deliveries = DeliveryFields(many=True)
    next_cursor = serializers.CharField(required=False)
    has_more = serializers.BooleanField()


class PingFields(Fields):
    success = serializers.BooleanField()
    response_status = serializers.IntegerField(required=False)
    response_time_ms = serializers.IntegerField(required=False)
    error_message = serializers.CharField(required=False)
    event_id = serializers.CharField()


class DeliveriesView(WebhookView):
    def listed(self, subscription_id: str) -> Response:
        query = self.query(DeliveryQuery)
        owner, subscription = self.found(subscription_id)
        since, until, status = query.get("from"), query.get("to"), query.get("status")
        require_order(query, "from", "to")
        found = deliveries(subscription.pk)
        if status:
            found = found.filter(status=status)
        if since is not None:
            found = found.filter(created_at__gte=since)
        if until is not None:
            found = found.filter(created_at__lte=until)
        binding = ["deliveries", subscription.pk.hex, status, str(since), str(until)]
        with in_schema_of(owner):
            page = page_of(found, order=("id",), descending=True, query=query, tag=owner.tag, binding=binding)
        items = [delivery_facts(row, subscription, owner) for row in page.rows]
        return Response(wire_page("deliveries", items, page.next_cursor))


class Deliveries(DeliveriesView):
    @described(
        name="list_deliveries",
        summary="A subscription's deliveries, the newest first",
        tag=TAG,
        query=DeliveryQuery,
        answer=DeliveryPageFields,
        refusals={404: NOT_FOUND},
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        return self.listed(subscription_id)


class AdminDeliveries(DeliveriesView):
    @described(
        name="list_any_deliveries",
        summary="A subscription's deliveries, the newest first",
        tag=TAG,
        query=DeliveryQuery,
        answer=DeliveryPageFields,
        refusals={404: NOT_FOUND},
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        return self.listed(subscription_id)


class PingView(WebhookView):
    def pinged(self, subscription_id: str) -> Response:
        owner, subscription = self.found(subscription_id)
        with self.changing(owner) as (actor, now):
            note_ping(subscription, owner=owner, actor=actor, now=now)
        # Behind the transaction: nobody's books are held while a receiver is waited for.
        done = ping(subscription, owner=owner, now=datetime.now(UTC))
        facts: dict[str, Any] = {"success": done.is_success, "event_id": done.event_id}
        if done.response_status is not None:
            facts |= {"response_status": done.response_status, "response_time_ms": done.response_time_ms}
        if done.error:
            facts["error_message"] = done.error
        return Response(facts)


class WebhookTest(PingView):
    @described(
        name="test_webhook",
        summary="What came of a test message, sent at once",
        tag=TAG,
        answer=PingFields,
        refusals={404: NOT_FOUND, 409: CLOSED},
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        return self.pinged(subscription_id)


class AdminWebhookTest(PingView):
    @described(
        name="test_any_webhook",
        summary="What came of a test message, sent at once",
        tag=TAG,
        answer=PingFields,
        refusals={404: NOT_FOUND, 409: CLOSED},
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        return self.pinged(subscription_id)


def delivery_facts(delivery: "WebhookDelivery", subscription: "WebhookSubscription", owner: Owner) -> dict[str, Any]:
    """A delivery as the protocol has it. `attempted_at` of one that was not tried yet is when it was made."""
    facts: dict[str, Any] = {
        "delivery_id": f"whdel_{delivery.pk}",
        "subscription_id": wire_id_of(subscription, owner),
        "event_id": event_id_of(delivery, owner),
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempted_at": wire_time(delivery.attempted_at or delivery.created_at),
        "attempts": delivery.attempts,
        "trace_id": delivery.trace_id,
    }
    if delivery.completed_at is not None:
        facts["completed_at"] = wire_time(delivery.completed_at)
    if delivery.response_status is not None:
        facts |= {"response_status": delivery.response_status, "response_time_ms": delivery.response_time_ms}
    if delivery.error:
        facts["error_message"] = delivery.error
    if delivery.status == DeliveryStatus.RETRYING:
        facts["next_retry_at"] = wire_time(delivery.next_attempt_at)
    return facts

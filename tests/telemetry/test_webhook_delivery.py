"""Webhooks from the outbox to a receiver: what it gets, in which order, and how often."""

import hmac

from standardwebhooks import Webhook

from kernel.ids import parse_wire_id
from tests.support.webhook_receiver import Sink
from tests.support.webhooks import Hooks


class TestDelivery:
    def test_brings_an_event_to_whoever_asked_for_it(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded")

        hooks.happen("budget.funded", scope="tenant:acme/workspace:prod", amount=5)
        hooks.visit()

        (received,) = sink.received
        event = received.event
        assert (event["event_type"], event["category"], event["tenant_id"]) == ("budget.funded", "budget", "acme")
        assert event["data"] == {"amount": 5}
        assert event["scope"] == "tenant:acme/workspace:prod"
        assert parse_wire_id("evt", event["event_id"])
        assert [delivery.status for delivery in hooks.deliveries()] == ["SUCCESS"]

    def test_is_signed_in_both_ways(self, hooks: Hooks, sink: Sink) -> None:
        _, secret = hooks.issue(sink.url, "budget.funded")

        hooks.happen("budget.funded")
        hooks.visit()

        (received,) = sink.received
        assert Webhook(secret).verify(received.body, received.headers) == received.event
        digest = hmac.digest(secret.encode(), received.body, "sha256").hex()
        assert received.headers["x-cycles-signature"] == f"sha256={digest}"
        assert received.headers["x-cycles-event-id"] == received.headers["webhook-id"] == received.event["event_id"]
        trace_id = received.event["trace_id"]
        assert received.headers["x-cycles-trace-id"] == trace_id
        assert received.headers["traceparent"].split("-")[1] == trace_id

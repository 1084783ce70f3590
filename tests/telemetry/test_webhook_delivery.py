"""Webhooks from the outbox to a receiver: what it gets, in which order, and how often."""

import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from kernel.ids import parse_wire_id
from kernel.tenancy import in_tenant
from telemetry.event_names import CATEGORIES
from telemetry.models import OutboxEvent, WebhookSubscription
from telemetry.services.webhooks.secrets import mint_signing_secret
from tenants.models import Tenant
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

    def test_keeps_the_order_of_the_tenants_events(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", "budget.frozen", "tenant.updated")
        happened = ["budget.funded", "budget.frozen", "tenant.updated"] * 70

        hooks.happen(*happened)
        hooks.visit()

        assert sink.events == happened
        assert len(set(sink.ids)) == len(happened)

    def test_brings_nothing_that_was_not_asked_for(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", scope_filter="tenant:acme/workspace:*")

        hooks.happen("budget.frozen", scope="tenant:acme/workspace:prod")
        hooks.happen("budget.funded", scope="tenant:acme")
        hooks.happen("budget.funded", scope="tenant:acme/workspace:prod")
        hooks.visit()

        assert [each.event["scope"] for each in sink.received] == ["tenant:acme/workspace:prod"]

    def test_brings_all_of_a_category(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "tenant.updated", event_categories=["budget"])
        hooks.change(subscription, event_types=[])

        hooks.happen("budget.frozen", "custom.budget.moved", "tenant.updated")
        hooks.visit()

        assert sink.events == ["budget.frozen", "custom.budget.moved"]

    def test_brings_nothing_of_before_the_subscription(self, hooks: Hooks, sink: Sink) -> None:
        hooks.happen("budget.funded")
        hooks.subscribe(sink.url, "budget.funded")

        hooks.visit()

        assert not sink.received

    def test_brings_an_event_once_however_often_the_worker_comes(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded")
        hooks.happen("budget.funded")

        hooks.visit()
        hooks.visit()

        assert len(sink.received) == 1

    def test_tells_no_tenant_of_keys_policies_and_webhooks(self, hooks: Hooks, sink: Sink) -> None:
        """Even where its row says so: then somebody went past the checks."""
        subscription = hooks.subscribe(sink.url, "budget.funded")
        with in_tenant(hooks.owner.tag):
            WebhookSubscription.objects.filter(pk=subscription.pk).update(event_categories=list(CATEGORIES))

        hooks.happen("api_key.created", "policy.created", "webhook.updated", "system.high_latency", "budget.funded")
        hooks.visit()

        assert sink.events == ["budget.funded"]

    def test_has_the_headers_that_were_asked_for(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", headers={"Authorization": "Bearer abc"})

        hooks.happen("budget.funded")
        hooks.visit()

        assert sink.received[0].headers["authorization"] == "Bearer abc"
        with in_tenant(hooks.owner.tag):
            assert "Bearer" not in repr(list(WebhookSubscription.objects.values()))

    def test_gives_names_that_the_protocol_does_not_know_the_prefix_that_it_asks_for(
        self, hooks: Hooks, sink: Sink, platform: Hooks
    ) -> None:
        platform.subscribe(sink.url, "custom.kill_switch.thrown")

        hooks.happen("kill_switch.thrown", "custom.kill_switch.thrown")
        hooks.visit()
        platform.visit()

        assert sink.events == ["custom.kill_switch.thrown"] * 2


class TestRotation:
    def test_lets_both_secrets_sign_for_a_while(self, hooks: Hooks, sink: Sink) -> None:
        subscription, old = hooks.issue(sink.url, "budget.funded")
        new = mint_signing_secret()
        hooks.change(subscription, secret=new)

        hooks.happen("budget.funded")
        hooks.visit()

        (received,) = sink.received
        for secret in (old, new):
            assert Webhook(secret).verify(received.body, received.headers)
        for header, secret in {"x-cycles-signature": new, "x-cycles-signature-previous": old}.items():
            digest = hmac.digest(secret.encode(), received.body, "sha256").hex()
            assert received.headers[header] == f"sha256={digest}"

    def test_ends_the_one_before(self, hooks: Hooks, sink: Sink) -> None:
        subscription, old = hooks.issue(sink.url, "budget.funded")
        hooks.change(subscription, secret=mint_signing_secret())
        with in_tenant(hooks.owner.tag):
            WebhookSubscription.objects.update(previous_secret_until=datetime.now(UTC))

        hooks.happen("budget.funded")
        hooks.visit()

        (received,) = sink.received
        with pytest.raises(WebhookVerificationError):
            Webhook(old).verify(received.body, received.headers)
        assert "x-cycles-signature-previous" not in received.headers

    def test_takes_a_secret_that_somebody_chose(self, hooks: Hooks, sink: Sink) -> None:
        secret = "correct horse battery staple"
        hooks.subscribe(sink.url, "budget.funded", secret=secret)

        hooks.happen("budget.funded")
        hooks.visit()

        (received,) = sink.received
        assert Webhook(secret.encode()).verify(received.body, received.headers)


class TestPlatform:
    def test_hears_of_every_tenant_and_of_all_categories(
        self, hooks: Hooks, initech: Tenant, sink: Sink, platform: Hooks
    ) -> None:
        platform.subscribe(sink.url, "api_key.created", "budget.funded")
        others = Hooks(initech)

        hooks.happen("budget.funded", "api_key.created")
        others.happen("budget.funded")
        for each in (hooks, others, platform):
            each.visit()

        told = [(each.event["tenant_id"], each.event["event_type"]) for each in sink.received]
        assert told == [("acme", "budget.funded"), ("acme", "api_key.created"), ("initech", "budget.funded")]
        wire = parse_wire_id("evt", sink.ids[0])
        assert wire is not None
        assert wire.tag == hooks.owner.tag

    def test_has_one_copy_of_an_event_that_is_handed_out_twice(self, hooks: Hooks, sink: Sink, platform: Hooks) -> None:
        """As after a death between the copy and the transaction of the tenant."""
        platform.subscribe(sink.url, "budget.funded")
        hooks.happen("budget.funded")
        hooks.visit()
        with in_tenant(hooks.owner.tag):
            OutboxEvent.objects.update(delivered_at=None)

        hooks.visit()
        platform.visit()

        assert len(sink.received) == 1

"""Receivers that fail: tried again after longer and longer, then given up, then left alone."""

from datetime import UTC, datetime, timedelta

import pytest

from budgets.services.lifecycle import close_tenant
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent, WebhookSubscription
from telemetry.services.webhooks.outcomes import delay_after
from telemetry.services.webhooks.ping import ping
from telemetry.webhook_states import WebhookStatus
from tests.support.webhook_receiver import Sink
from tests.support.webhooks import SCENE, Hooks

PATIENT = {"max_retries": 2, "initial_delay_ms": 1_000}
IMPATIENT = {"max_retries": 0}


def told(hooks: Hooks, event_type: str) -> list[dict[str, object]]:
    with in_tenant(hooks.owner.tag):
        return [event.payload["data"] for event in OutboxEvent.objects.filter(event_type=event_type).order_by("seq")]


class TestDelay:
    @pytest.mark.parametrize(
        ("attempts", "chance", "seconds"),
        [(1, 0.5, 1), (2, 0.5, 2), (3, 0.5, 4), (7, 0.5, 60), (50, 0.5, 60), (1, 0.0, 0.8), (1, 1.0, 1.2)],
    )
    def test_doubles_up_to_the_most_and_is_a_matter_of_chance(
        self, attempts: int, chance: float, seconds: float
    ) -> None:
        subscription = WebhookSubscription()

        assert delay_after(attempts, subscription=subscription, chance=chance) == timedelta(seconds=seconds)


class TestRetry:
    def test_sends_the_same_event_again(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", retry=PATIENT)
        sink.answer = lambda _: 500 if len(sink.received) == 1 else 200
        hooks.happen("budget.funded")

        hooks.visit()
        (delivery,) = hooks.deliveries()
        assert (delivery.status, delivery.attempts, delivery.response_status) == ("RETRYING", 1, 500)
        assert delivery.next_attempt_at > datetime.now(UTC)
        hooks.visit()
        assert len(sink.received) == 1
        hooks.hurry()
        hooks.visit()

        (delivery,) = hooks.deliveries()
        assert (delivery.status, delivery.attempts, delivery.error) == ("SUCCESS", 2, "")
        assert sink.received[0].body == sink.received[1].body
        assert sink.ids[0] == sink.ids[1]

    def test_lets_others_pass_one_that_is_refused(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", "budget.frozen", retry=PATIENT)
        sink.answer = lambda request: 422 if request.event["event_type"] == "budget.frozen" else 200

        hooks.happen("budget.frozen", "budget.funded")
        hooks.visit()

        assert [each.status for each in hooks.deliveries()] == ["RETRYING", "SUCCESS"]

    def test_keeps_the_order_while_nobody_answers(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe("http://127.0.0.1:9/", "budget.funded", "budget.frozen", retry=PATIENT)
        hooks.happen("budget.frozen", "budget.funded")

        hooks.visit()

        assert [each.attempts for each in hooks.deliveries()] == [1, 0]
        assert hooks.deliveries()[0].error == "The connection was refused."
        assert hooks.again(subscription).quiet_until is not None
        hooks.change(subscription, url=sink.url)
        hooks.hurry()
        hooks.visit()
        assert sink.events == ["budget.frozen", "budget.funded"]

    def test_waits_as_long_as_the_receiver_asks(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", retry=PATIENT)
        sink.answer, sink.headers = lambda _: 429, {"Retry-After": "120"}
        hooks.happen("budget.funded")

        hooks.visit()

        (delivery,) = hooks.deliveries()
        assert delivery.next_attempt_at > datetime.now(UTC) + timedelta(seconds=100)

    def test_follows_no_redirect(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", retry=PATIENT)
        sink.answer, sink.headers = lambda _: 302, {"Location": sink.url}
        hooks.happen("budget.funded")

        hooks.visit()

        assert len(sink.received) == 1
        assert hooks.deliveries()[0].status == "RETRYING"


class TestGivingUp:
    def test_leaves_a_dead_letter_and_says_so(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "budget.funded", retry=PATIENT)
        sink.answer = lambda _: 500
        hooks.happen("budget.funded")

        for _ in range(4):
            hooks.visit()
            hooks.hurry()

        (delivery,) = hooks.deliveries()
        assert (delivery.status, delivery.attempts) == ("FAILED", 3)
        assert delivery.completed_at is not None
        assert len(sink.received) == 3
        assert hooks.again(subscription).consecutive_failures == 1
        assert len(told(hooks, "system.webhook_delivery_failed")) == 1

    def test_disables_a_receiver_that_fails_too_often(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "budget.funded", retry=IMPATIENT, disable_after_failures=3)
        sink.answer = lambda _: 500

        hooks.happen("budget.funded", "budget.funded")
        hooks.visit()
        assert hooks.again(subscription).status == WebhookStatus.ACTIVE
        hooks.happen("budget.funded")
        hooks.visit()

        found = hooks.again(subscription)
        assert (found.status, found.consecutive_failures) == (WebhookStatus.DISABLED, 3)
        (content,) = told(hooks, "webhook.disabled")
        assert content["disable_reason"] == "consecutive_failures_exceeded_threshold"
        with in_tenant(hooks.owner.tag):
            assert AuditEntry.objects.filter(action="webhook.disabled").count() == 1
        hooks.happen("budget.funded")
        hooks.visit()
        assert len(sink.received) == 3

    def test_counts_anew_after_a_success(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "budget.funded", retry=IMPATIENT, disable_after_failures=2)
        sink.answer = lambda _: 200 if len(sink.received) == 2 else 500

        hooks.happen("budget.funded", "budget.funded", "budget.funded")
        hooks.visit()

        found = hooks.again(subscription)
        assert (found.status, found.consecutive_failures) == (WebhookStatus.ACTIVE, 1)

    def test_disables_a_receiver_that_says_it_is_gone(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "budget.funded")
        sink.answer = lambda _: 410
        hooks.happen("budget.funded")

        hooks.visit()

        found = hooks.again(subscription)
        assert (found.status, found.status_reason) == (WebhookStatus.DISABLED, "receiver_gone")

    def test_goes_on_when_it_is_made_active_again(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "budget.funded", retry=IMPATIENT, disable_after_failures=1)
        sink.answer = lambda _: 500
        hooks.happen("budget.funded", scope="tenant:acme/workspace:before")
        hooks.visit()
        hooks.happen("budget.funded", scope="tenant:acme/workspace:meanwhile")
        hooks.visit()

        sink.answer = lambda _: 200
        hooks.change(subscription, status=WebhookStatus.ACTIVE)
        hooks.happen("budget.funded", scope="tenant:acme/workspace:after")
        hooks.visit()

        scopes = [each.event["scope"] for each in sink.received]
        assert scopes == ["tenant:acme/workspace:before", "tenant:acme/workspace:after"]
        assert hooks.again(subscription).consecutive_failures == 0
        assert len(told(hooks, "webhook.resumed")) == 1


class TestClosing:
    def test_of_the_tenant_ends_its_webhooks(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, event_categories=["budget", "tenant"])
        hooks.happen("budget.funded")

        close_tenant(tag=hooks.owner.tag, actor=SCENE)
        hooks.visit()

        found = hooks.again(subscription)
        assert (found.status, found.status_reason) == (WebhookStatus.DISABLED, "tenant_closed")
        assert not sink.received
        (content,) = told(hooks, "webhook.disabled_via_tenant_cascade")
        assert content["prior_status"] == "ACTIVE"


class TestPing:
    def test_is_sent_at_once_and_counts_nowhere(self, hooks: Hooks, sink: Sink) -> None:
        subscription = hooks.subscribe(sink.url, "budget.funded", disable_after_failures=1)
        sink.answer = lambda _: 500

        with in_tenant(hooks.owner.tag):
            done = ping(subscription, owner=hooks.owner, now=datetime.now(UTC))

        assert (done.is_success, done.response_status) == (False, 500)
        assert sink.events == ["system.webhook_test"]
        assert sink.ids == [done.event_id]
        assert hooks.again(subscription).status == WebhookStatus.ACTIVE
        assert not hooks.deliveries()

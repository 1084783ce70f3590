"""Whom the worker visits, whom it does not, and what a receiver that hangs costs the others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection, connections

from kernel.ids import Tag
from kernel.tenancy import in_public, in_tenant
from telemetry.models import WebhookDelivery, WebhookSubscription
from telemetry.services.webhooks import delivering
from telemetry.services.webhooks.forgetting import KEPT_FOR
from tenants.models import Tenant, WebhookDue
from tenants.services import webhook_due
from tenants.services.webhook_visits import NobodyThere, deliver, hand_out_events
from tests.support.webhook_receiver import Sink
from tests.support.webhooks import Hooks


@pytest.fixture(autouse=True)
def nobody_else(database: None) -> Iterator[None]:
    """Lines of tenants of other tests would be asked for as well."""
    with in_public():
        WebhookDue.objects.all().delete()
    yield
    with in_public():
        WebhookDue.objects.all().delete()


def asked() -> set[Tag]:
    """Whom a tick has visited. Counts are told at once, not after a second."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    return set(webhook_due.ask_for_visits(limit=100))


class TestDue:
    def test_is_who_has_new_events_and_nobody_else(self, acme: Tenant, initech: Tenant) -> None:
        hooks, others = Hooks(acme), Hooks(initech)
        assert {acme.tag, initech.tag} <= asked()
        hooks.visit()
        others.visit()
        assert not asked() & {acme.tag, initech.tag}

        hooks.happen("budget.funded")

        assert asked() & {acme.tag, initech.tag} == {acme.tag}

    def test_is_asked_for_once_until_the_visit_ends(self, acme: Tenant) -> None:
        hooks = Hooks(acme)

        assert acme.tag in asked()
        assert acme.tag not in asked()
        with in_public():
            long_ago = datetime.now(UTC) - timedelta(seconds=webhook_due.RETRY_AFTER_S + 1)
            WebhookDue.objects.filter(tag=acme.tag).update(asked_at=long_ago)
        assert acme.tag in asked()
        hooks.visit()
        assert acme.tag not in asked()

    def test_is_who_has_an_attempt_to_make(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded")
        sink.answer = lambda _: 500
        hooks.happen("budget.funded")
        hooks.visit()

        with in_public():
            line = WebhookDue.objects.get(tag=hooks.owner.tag)
        assert line.due_at == hooks.deliveries()[0].next_attempt_at
        webhook_due.lower_due(tag=hooks.owner.tag, at=datetime.now(UTC))
        assert hooks.owner.tag in asked()

    def test_is_nobody_whom_the_directory_does_not_know(self, acme: Tenant) -> None:
        Hooks(acme)
        with in_public():
            WebhookDue.objects.create(tag="a" * 20, outbox_table=0)

        webhook_due.forget_strangers()

        with in_public():
            assert set(WebhookDue.objects.values_list("tag", flat=True)) >= {acme.tag, "platformplatformplat"}
            assert not WebhookDue.objects.filter(tag="a" * 20).exists()
        with pytest.raises(NobodyThere):
            hand_out_events(tag=Tag("a" * 20), has_time=lambda: True)


class TestTwoWorkers:
    def test_do_not_send_the_same_twice(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded")
        hooks.happen(*["budget.funded"] * 40)
        sink.delay_s = 0.005
        together = Barrier(2)

        def work(_: int) -> None:
            try:
                together.wait()
                hooks.visit()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, range(2)))
        hooks.visit()

        assert len(sink.ids) == len(set(sink.ids)) == 40
        assert {each.status for each in hooks.deliveries()} == {"SUCCESS"}


def waits_since(tag: Tag) -> datetime | None:
    with in_public():
        return WebhookDue.objects.get(tag=tag).oldest_at


class TestWaiting:
    def test_is_known_from_when_a_visit_is_asked_for_until_all_is_delivered(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded")
        hooks.visit()
        assert waits_since(hooks.owner.tag) is None
        hooks.happen("budget.funded")

        assert hooks.owner.tag in asked()
        since = waits_since(hooks.owner.tag)
        hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)

        # Handed out and not yet delivered: no worker came to it.
        handed_out = waits_since(hooks.owner.tag)
        assert since is not None
        assert handed_out is not None
        hooks.visit()
        hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)
        assert waits_since(hooks.owner.tag) is None

    def test_is_not_ours_while_a_receiver_fails(self, hooks: Hooks, sink: Sink) -> None:
        sink.answer = lambda _: 500
        hooks.subscribe(sink.url, "budget.funded")
        hooks.happen("budget.funded")
        hooks.visit()

        hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)

        assert [each.status for each in hooks.deliveries()] == ["RETRYING"]
        assert waits_since(hooks.owner.tag) is None


class TestHanging:
    def test_receivers_leave_room_for_others(self, hooks: Hooks, sink: Sink) -> None:
        """All the threads that those may have who did not answer are taken."""
        doubtful, good = hooks.subscribe(sink.url, "budget.funded"), hooks.subscribe(sink.url, "budget.funded")
        with in_tenant(hooks.owner.tag):
            long_ago = datetime.now(UTC) - timedelta(seconds=5)
            WebhookSubscription.objects.filter(pk=doubtful.pk).update(quiet_until=long_ago)
        hooks.happen("budget.funded")
        for _ in range(delivering.DOUBTFUL_MAX):
            delivering._doubtful.acquire()
        try:
            due = hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)
            visits = {each: deliver(tag=hooks.owner.tag, subscription_id=each, has_time=lambda: True) for each in due}
        finally:
            for _ in range(delivering.DOUBTFUL_MAX):
                delivering._doubtful.release()

        assert visits[good.pk].delivered == 1
        assert visits[doubtful.pk].delivered == 0
        next_at = visits[doubtful.pk].next_at
        assert next_at is not None
        assert next_at > datetime.now(UTC) - timedelta(seconds=30)
        hooks.visit()
        deliver(tag=hooks.owner.tag, subscription_id=doubtful.pk, has_time=lambda: True)
        assert len(sink.received) == 2


class TestForgetting:
    def test_keeps_deliveries_for_a_fortnight(self, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded")
        hooks.happen("budget.funded", "budget.funded")
        hooks.visit()
        first, second = hooks.deliveries()
        with in_tenant(hooks.owner.tag):
            now = datetime.now(UTC)
            WebhookDelivery.objects.filter(pk=first.pk).update(created_at=now - KEPT_FOR - timedelta(minutes=1))
            WebhookDelivery.objects.filter(pk=second.pk).update(created_at=now - KEPT_FOR + timedelta(minutes=1))

        hooks.visit()

        assert [each.pk for each in hooks.deliveries()] == [second.pk]

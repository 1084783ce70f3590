"""Nobody who has something to be told is forgotten: not between two visits, not after a death, not behind others."""

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, connections, transaction

from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public
from telemetry.models import OutboxEvent
from telemetry.services.webhooks import delivering
from tenants.models import Tenant, WebhookDue
from tenants.services import webhook_due, webhook_visits
from tenants.services.webhook_visits import hand_out_events, in_schema_of
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


def line(tag: Tag) -> WebhookDue:
    with in_public():
        return WebhookDue.objects.get(tag=tag)


def is_due(tag: Tag) -> bool:
    due_at = line(tag).due_at
    return due_at is not None and due_at <= datetime.now(UTC)


def asked(limit: int = 100) -> list[Tag]:
    """Whom a tick has visited. Counts are told at once, not after a second."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    return webhook_due.ask_for_visits(limit=limit)


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Have `act` happen once, when the next visit has looked for what waits and has not yet said what it found."""
    look = delivering.next_due_at
    acts = [act]

    def looked(*args: Any) -> Any:
        found = look(*args)
        if acts:
            acts.pop()()
        return found

    monkeypatch.setattr(webhook_visits, "next_due_at", looked)


class TestNote:
    def test_that_comes_during_a_visit_is_not_lost(self, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
        meanwhile(monkeypatch, lambda: webhook_due.lower_due(tag=hooks.owner.tag, at=datetime.now(UTC)))

        hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)

        assert is_due(hooks.owner.tag)

    def test_that_comes_during_a_visit_that_was_due_is_not_lost(
        self, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        webhook_due.lower_due(tag=hooks.owner.tag, at=datetime.now(UTC))
        meanwhile(monkeypatch, lambda: webhook_due.lower_due(tag=hooks.owner.tag, at=datetime.now(UTC)))

        hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)

        assert is_due(hooks.owner.tag)

    def test_of_copies_for_the_platform_is_not_lost(
        self, hooks: Hooks, platform: Hooks, sink: Sink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        platform.subscribe(sink.url, "budget.funded")
        platform.visit()
        hooks.happen("budget.funded")
        meanwhile(monkeypatch, lambda: hand_out_events(tag=hooks.owner.tag, has_time=lambda: True))

        hand_out_events(tag=PLATFORM_TAG, has_time=lambda: True)

        assert is_due(PLATFORM_TAG)

    def test_of_copies_for_the_platform_outlives_the_worker(
        self, hooks: Hooks, platform: Hooks, sink: Sink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed when the events have left the tenant's outbox, so that nobody makes the copies again."""
        platform.subscribe(sink.url, "budget.funded")
        platform.visit()
        hooks.happen("budget.funded")

        def die(**_: Any) -> None:
            raise SystemExit

        monkeypatch.setattr(webhook_due, "finish_visit", die)
        with pytest.raises(SystemExit):
            hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)

        with in_schema_of(hooks.owner):
            assert not OutboxEvent.objects.filter(delivered_at=None).exists()
        assert is_due(PLATFORM_TAG)


class TestLateCommit:
    def test_is_handed_out_though_later_numbers_were_before_it(self, acme: Tenant, hooks: Hooks, sink: Sink) -> None:
        hooks.subscribe(sink.url, "budget.funded", "budget.frozen")
        hooks.visit()
        begun, may_end = Event(), Event()
        slow = Thread(target=happens_slowly, args=(hooks, begun, may_end))
        slow.start()
        try:
            assert begun.wait(60)
            hooks.happen("budget.funded")
            assert acme.tag in asked()
            hooks.visit()
            assert sink.events == ["budget.funded"]
        finally:
            may_end.set()
            slow.join()

        assert acme.tag in asked()
        hooks.visit()

        assert sink.events == ["budget.funded", "budget.frozen"]
        with in_schema_of(hooks.owner):
            last, first = OutboxEvent.objects.filter(event_type__in=sink.events).order_by("seq")
        assert (last.event_type, first.event_type) == ("budget.frozen", "budget.funded")


def happens_slowly(hooks: Hooks, begun: Event, may_end: Event) -> None:
    """In a thread of its own: its transaction has its number, and ends when it may."""
    try:
        with in_schema_of(hooks.owner), transaction.atomic():
            hooks.happen("budget.frozen")
            begun.set()
            may_end.wait(60)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connections.close_all()


class TestTurns:
    def test_go_round_when_there_are_more_tenants_than_a_tick_takes(self, acme: Tenant, initech: Tenant) -> None:
        both = {tenant.tag: Hooks(tenant) for tenant in (acme, initech)}
        for hooks in both.values():
            hooks.visit()
            hooks.happen("budget.funded")
        with in_public():
            WebhookDue.objects.filter(tag=PLATFORM_TAG).delete()

        (first,) = asked(limit=1)
        both[first].visit()
        both[first].happen("budget.funded")
        (second,) = asked(limit=1)

        assert {first, second} == set(both)


class TestCounts:
    def test_that_began_anew_are_not_trusted(self, hooks: Hooks) -> None:
        """PostgreSQL died, counts from nought again, and has come to the very number that was seen before."""
        hooks.visit()
        hooks.happen("budget.funded")
        asked()
        visit = webhook_due.begin_visit(tag=hooks.owner.tag)
        assert visit is not None
        with in_public():
            WebhookDue.objects.filter(tag=hooks.owner.tag).update(inserts_seen=visit.inserts, asked_at=None)
        assert hooks.owner.tag not in asked()

        with in_public():
            long_ago = datetime(2001, 1, 1, tzinfo=UTC)
            WebhookDue.objects.filter(tag=hooks.owner.tag).update(visited_at=long_ago)

        assert hooks.owner.tag in asked()

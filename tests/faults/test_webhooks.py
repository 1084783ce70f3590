"""PostgreSQL dies in the middle of deliveries: every event arrives at least once, with one id, in its order."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, InterfaceError, connection, connections
from pytest_django import Settings

from kernel.ids import mint_wire_id
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.services import webhook_due
from tests.support.books import Books
from tests.support.own_server import OwnServer
from tests.support.webhook_receiver import Received, Sink, listening
from tests.support.webhooks import Hooks


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found


@pytest.mark.slow
class TestDeathOfTheServer:
    def test_loses_no_event_and_changes_no_id(self, server: OwnServer, books: Books, sink: Sink) -> None:
        hooks = Hooks(books.tenant)
        hooks.subscribe(sink.url, "budget.funded")
        hooks.happen(*["budget.funded"] * 250)

        def kill_in_the_middle(_: Received) -> int:
            if len(sink.received) == 150:
                server.kill()
            return 204

        sink.answer = kill_in_the_middle
        with pytest.raises((DatabaseError, InterfaceError)):
            hooks.visit()
        assert len(sink.received) >= 150
        connections.close_all()
        server.start()
        server.wait_until_it_answers()

        # The counts of rows went with the server; that is another number too.
        with in_tenant(hooks.owner.tag):
            assert OutboxEvent.objects.exists()
        assert hooks.owner.tag in webhook_due.ask_for_visits(limit=1_000)
        hooks.visit()

        with in_tenant(hooks.owner.tag):
            events = OutboxEvent.objects.filter(event_type="budget.funded").order_by("seq")
            expected = [mint_wire_id("evt", hooks.owner.tag, event.pk) for event in events]
        assert list(dict.fromkeys(sink.ids)) == expected
        assert {delivery.status for delivery in hooks.deliveries()} == {"SUCCESS"}

    def test_has_everybody_visited_once_more_whatever_it_counts(self, server: OwnServer, books: Books) -> None:
        """It counts from nought again, and may come to the very number that was seen before it died."""
        hooks = Hooks(books.tenant)
        hooks.visit()
        tag = hooks.owner.tag
        server.kill()
        connections.close_all()
        server.start()
        server.wait_until_it_answers()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE webhook_due SET inserts_seen = pg_stat_get_tuples_inserted(outbox_table::oid)")

        assert tag in webhook_due.ask_for_visits(limit=1_000)
        hooks.visit()
        assert tag not in webhook_due.ask_for_visits(limit=1_000)

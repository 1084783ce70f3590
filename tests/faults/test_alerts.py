"""The worker is killed while it looks for alerts and while it tells them: raised once, told at least once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from budgets.models import Alert, AlertChannel
from budgets.models.choices import AlertKind, AlertState, ChannelKind, Severity
from budgets.services.alert_addresses import read_address
from budgets.services.alert_channels import NewChannel, add_channel
from budgets.services.alert_telling import tell_channels
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tenants.services import standing
from tests.plugins.servers import ROOT
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import noted
from tests.support.owner import let_time_pass
from tests.support.processes import environment
from tests.support.webhook_receiver import Received, Sink, listening


@pytest.fixture
def books(acme: Tenant) -> Books:
    """In the run's own database: nobody kills that here."""
    standing.enrol_tenants()
    books = Books(acme)
    books.add_budget(allocated=100)
    return books


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]
    with listening() as found:
        yield found


@contextmanager
def worker(books: Books) -> Iterator[Callable[[], None]]:
    """A process that visits and tells; what is yielded kills it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.kept_telling", books.tenant.tag],
        cwd=ROOT,
        env=environment(
            WATERMASTER_SECRET=django_settings.WATERMASTER_SECRET,
            WEBHOOK_ALLOW_HTTP="yes",
            WEBHOOK_OPEN_NETWORKS="127.0.0.0/8",
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield lambda: os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def told(books: Books, after: timedelta) -> int:
    let_time_pass(books.tenant.tag, after)
    return tell_channels(tag=books.tenant.tag, has_time=lambda: True, chance=lambda: 0.0)


class TestKilled:
    def test_while_it_tells_tells_again(self, books: Books, sink: Sink) -> None:
        with in_tenant(books.tenant.tag):
            address = read_address(ChannelKind.WEBHOOK, sink.url)
            channel = NewChannel(
                id=uuid7(), kind=ChannelKind.WEBHOOK, name="x", address=address, severity_min=Severity.WARNING
            )
            add_channel(channel, actor=TEST_ACTOR)
        books.ask("event", amount=96)
        noted(books)
        let_time_pass(books.tenant.tag, timedelta(seconds=31))

        with worker(books) as kill:

            def die(_: Received) -> int:
                kill()
                return 204

            sink.answer = die
        with in_tenant(books.tenant.tag):
            left = AlertChannel.objects.get()
        assert left.busy_until is not None
        assert left.sent_at is None
        sink.answer = lambda _: 204

        assert told(books, timedelta(seconds=15)) == 0
        assert told(books, timedelta(seconds=46)) == 1
        assert told(books, timedelta(minutes=6)) == 0

        messages = [[each["id"] for each in message.event["alerts"]] for message in sink.received]
        assert len(messages) == 2
        assert messages[0] == messages[1]

    def test_while_it_looks_raises_each_once(self, books: Books) -> None:
        dice = random.Random(5)
        for amount in (80, 15, 5):
            books.ask("event", amount=amount)
            with worker(books) as kill:
                time.sleep(dice.uniform(0, 0.15))
                kill()
        noted(books)

        with in_tenant(books.tenant.tag):
            alerts = list(Alert.objects.filter(kind=AlertKind.BUDGET_THRESHOLD, state=AlertState.OPEN))
            raised = Counter(
                AuditEntry.objects.filter(action="alert.raised", after__kind=AlertKind.BUDGET_THRESHOLD).values_list(
                    "target", flat=True
                )
            )
            announced = Counter(
                OutboxEvent.objects.filter(event_type__in=["budget.threshold_crossed", "budget.exhausted"]).values_list(
                    "payload__data__alert_id", flat=True
                )
            )
        assert sorted(each.threshold for each in alerts) == [800_000, 950_000, 1_000_000]
        assert raised == {f"alert:{each.pk}": 1 for each in alerts}
        assert announced == {str(each.pk): 1 for each in alerts}

"""The worker and beat themselves: an event is delivered by itself, and at least once whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_django import Settings

from kernel.ids import mint_wire_id
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.plugins.servers import ROOT
from tests.support.processes import environment, kill_family
from tests.support.webhook_receiver import Sink, listening
from tests.support.webhooks import Hooks

WITHIN_SECONDS = 60
_DELIVER = """
import django, time
django.setup()
from tenants.services.webhook_due import lower_due
from tenants.services.webhook_visits import deliver, hand_out_events
from kernel.ids import Tag
tag = Tag("{tag}")
print("ready", flush=True)
while True:
    for one in hand_out_events(tag=tag, has_time=lambda: True):
        deliver(tag=tag, subscription_id=one, has_time=lambda: True)
    time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found


OPEN = {"WEBHOOK_ALLOW_HTTP": "yes", "WEBHOOK_OPEN_NETWORKS": "127.0.0.0/8"}


@contextmanager
def running(*command: str, log: Path, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(**OPEN, **environ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        kill_family(process)


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def ids_of_events(hooks: Hooks, event_type: str) -> list[str]:
    with in_tenant(hooks.owner.tag):
        events = OutboxEvent.objects.filter(event_type=event_type).order_by("seq")
        return [mint_wire_id("evt", hooks.owner.tag, event.pk) for event in events]


@pytest.mark.slow
class TestWorker:
    def test_delivers_by_itself(self, acme: Tenant, sink: Sink, tmp_path: Path) -> None:
        hooks = Hooks(acme)
        hooks.subscribe(sink.url, "budget.funded")
        command = ("-m", "celery", "--quiet", "-A", "tests.support.celery_app", "worker", "--beat")
        queues = ("--queues", f"{(queue := f'test-{uuid4().hex}')},webhooks", "--pool=threads", "--concurrency=4")
        log = tmp_path / "worker.log"
        with running(
            *command, *queues, "--without-gossip", "--without-mingle", "--loglevel=info", log=log, TEST_QUEUE=queue
        ):
            hooks.happen("budget.funded")

            assert wait_until(lambda: bool(sink.received)), log.read_text()
        assert sink.ids == ids_of_events(hooks, "budget.funded")


@pytest.mark.slow
class TestKilledWorker:
    def test_loses_no_event_and_changes_no_id(self, acme: Tenant, sink: Sink, tmp_path: Path) -> None:
        """Killed in the middle of sending, again and again; another takes over at once each time."""
        hooks = Hooks(acme)
        hooks.subscribe(sink.url, "budget.funded")
        hooks.happen(*["budget.funded"] * 600)
        program = _DELIVER.format(tag=acme.tag)
        for target in (40, 170, 300):
            with running("-c", program, log=tmp_path / "worker.log") as process:
                assert wait_until(lambda target=target: len(set(sink.ids)) >= target)  # type: ignore[misc]
                os.kill(process.pid, signal.SIGKILL)
                process.wait()

        with running("-c", program, log=tmp_path / "worker.log"):
            expected = ids_of_events(hooks, "budget.funded")
            assert wait_until(lambda: not hooks.deliveries(status="PENDING")), (tmp_path / "worker.log").read_text()

        assert list(dict.fromkeys(sink.ids)) == expected
        assert len(sink.ids) - len(expected) <= 300
        assert {delivery.status for delivery in hooks.deliveries()} == {"SUCCESS"}

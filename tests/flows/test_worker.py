"""The worker and beat themselves: a reservation that nobody settles comes back by itself."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from runcycles import Action, Amount, CyclesClient, CyclesConfig, ReservationCreateRequest, Subject, Unit

from budgets.models import Reservation
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.processes import environment

EXPIRED_WITHIN_SECONDS = 30


@pytest.fixture
def worker(database: None, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with beat inside, on queues of its own."""
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "--quiet", "-A", "tests.support.celery_app", "worker", "--beat"),
                *("--concurrency=1", "--without-gossip", "--without-mingle", "--loglevel=info"),
                *("--schedule", str(tmp_path / "schedule")),
            ],
            cwd=ROOT,
            env=environment(TEST_QUEUE=f"test-{uuid4().hex}"),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield process
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.slow
class TestExpiry:
    def test_an_abandoned_reservation_is_given_back(
        self, acme: Tenant, api_url: str, worker: "subprocess.Popen[bytes]", tmp_path: Path
    ) -> None:
        books = Books(acme)
        books.add_budget(allocated=1_000)
        with CyclesClient(CyclesConfig(base_url=api_url, api_key=books.key.token, tenant="acme")) as client:
            made = client.create_reservation(
                ReservationCreateRequest(
                    idempotency_key=str(uuid4()),
                    subject=Subject(tenant="acme"),
                    action=Action(kind="llm.completion", name="gpt-4o"),
                    estimate=Amount(unit=Unit.USD_MICROCENTS, amount=400),
                    ttl_ms=1_000,
                    grace_period_ms=0,
                )
            )
        assert made.is_success, made.body
        assert books.budget().reserved == 400

        deadline = time.monotonic() + EXPIRED_WITHIN_SECONDS
        while books.budget().reserved and time.monotonic() < deadline:
            time.sleep(0.2)

        assert books.budget().reserved == 0, (tmp_path / "worker.log").read_text()
        with in_tenant(acme.tag):
            assert Reservation.objects.get().status == "EXPIRED"

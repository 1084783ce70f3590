"""The worker and beat themselves: a reservation that nobody settles comes back by itself."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from runcycles import Action, Amount, CyclesClient, CyclesConfig, ReservationCreateRequest, Subject, Unit

from budgets.models import Reservation
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.processes import environment, kill_family

EXPIRED_WITHIN_SECONDS = 30


@pytest.fixture
def overdue(initech: Tenant) -> Books:
    """A reservation that was over an hour ago, of which nobody told the worker."""
    books = Books(initech)
    books.add_budget(allocated=1_000)
    books.ask("reserve", amount=100)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with in_tenant(initech.tag):
        Reservation.objects.update(expires_at=hour_ago, due_at=hour_ago)
    return books


@pytest.fixture
def worker(overdue: Books, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with beat inside, on queues of its own."""
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "--quiet", "-A", "tests.support.celery_app", "worker", "--beat"),
                *("--concurrency=1", "--without-gossip", "--without-mingle", "--loglevel=info"),
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
        kill_family(process)


@pytest.mark.slow
class TestExpiry:
    def test_what_nobody_settles_is_given_back(
        self, acme: Tenant, overdue: Books, api_url: str, worker: "subprocess.Popen[bytes]", tmp_path: Path
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
        while (books.budget().reserved or overdue.budget().reserved) and time.monotonic() < deadline:
            time.sleep(0.2)

        assert worker.poll() is None
        for tenant in (books, overdue):
            with in_tenant(tenant.tenant.tag):
                assert Reservation.objects.get().status == "EXPIRED", (tmp_path / "worker.log").read_text()
            assert tenant.budget().reserved == 0

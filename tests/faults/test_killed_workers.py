"""Worker, broker and PostgreSQL are killed at random while they roll up, open periods, expire and seal.

Afterwards the rollups are those of the ledger, no period was skipped or opened twice, and every seal is right.
"""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import redis
from django.conf import settings
from django.db import connections

from budgets.models import Budget, LedgerEntry, LedgerHead, LedgerSeal, Reservation, RollupMark
from budgets.models.choices import EntryKind, Period, ReservationStatus
from budgets.selectors.audit import audit
from budgets.services import engine
from budgets.services.rollups_proof import rollup_differences
from budgets.services.seals_proof import broken_seals
from kernel.embedded.valkey import Valkey
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.own_server import OwnServer
from tests.support.processes import environment, kill_family

AGENTS = 12
DAYS_BEHIND = 20


@dataclass
class Callers:
    """Calls of every sort without pause, until they are told to end."""

    books: Books
    errors: list[BaseException] = field(default_factory=list)
    answered: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._call, args=[seed], daemon=True) for seed in range(2)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(30)
        assert self.errors == []

    def _call(self, seed: int) -> None:
        dice = random.Random(seed)
        try:
            while not self._is_over.is_set():
                try:
                    self._call_once(dice)
                    self.answered += 1
                except engine.EngineUnavailable:
                    time.sleep(0.02)
                time.sleep(0.005)
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.errors.append(error)
        finally:
            connections.close_all()

    def _call_once(self, dice: random.Random) -> None:
        asked = {"suffixes": ["", f"/agent:a{dice.randrange(AGENTS)}"]}
        match dice.randrange(4):
            case 0:
                self.books.ask("event", amount=1, idem=uuid7().hex, **asked)
            case 1:
                # Refused, and counted all the same.
                self.books.ask("reserve", amount=10**15, idem=uuid7().hex, **asked)
            case 2:
                # Nobody settles it.
                self.books.ask("reserve", amount=2, ttl_ms=1_000, grace_ms=0, idem=uuid7().hex, **asked)
            case _:
                held = self.books.ask("reserve", amount=3, idem=uuid7().hex, **asked)
                if held.status == "OK":
                    self.books.ask("commit", target=held.id, amount=2, idem=uuid7().hex)


@pytest.fixture
def idle(books: Books) -> Books:
    """Budgets by day that nobody has touched for a while."""
    ends_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS_BEHIND)
    for number in range(AGENTS):
        books.add_budget(
            f"/agent:a{number}",
            allocated=10**6,
            period=Period.DAY,
            period_allocation=10**6,
            period_starts_at=ends_at - timedelta(days=1),
            period_ends_at=ends_at,
        )
    return books


def often(some: int, many: int, *, seconds: int) -> pytest.MarkDecorator:
    """How many kills there are, about as long each: some in `make test`, many in `make test-slow`."""
    short = pytest.param(some, marks=pytest.mark.slow(some * seconds))
    long = pytest.param(many, marks=[pytest.mark.full, pytest.mark.slow(many * seconds)])
    return pytest.mark.parametrize("kills", [short, long])


class TestKilled:
    @often(4, 9, seconds=5)
    def test_worker_and_postgresql_at_any_moment(self, server: OwnServer, idle: Books, kills: int) -> None:
        dice = random.Random(11)
        callers = Callers(idle)
        worker = _kept_work(server, idle)
        callers.start()
        try:
            for number in range(kills):
                time.sleep(dice.uniform(0.1, 0.9))
                if number % 3 == 2:
                    server.kill()
                    server.start()
                else:
                    worker.kill()
                    worker.wait()
                    worker = _kept_work(server, idle)
            callers.end()
            _wait(lambda: _is_caught_up(idle) and _is_sealed(idle))
        finally:
            worker.kill()
            worker.wait()
            callers.end()

        assert callers.answered > 50
        with in_tenant(idle.tenant.tag):
            assert LedgerSeal.objects.count() > 5
        _check(idle)

    @often(3, 5, seconds=5)
    def test_broker_and_worker_at_any_moment(self, server: OwnServer, idle: Books, tmp_path: Path, kills: int) -> None:
        dice = random.Random(12)
        callers = Callers(idle)
        with _celery(server, tmp_path / "worker.log") as restart:
            callers.start()
            try:
                for number in range(kills):
                    time.sleep(dice.uniform(0.5, 2.0))
                    if number % 2:
                        restart()
                    else:
                        _kill_broker(server)
                        server.start()
            finally:
                callers.end()
            _wait(lambda: _is_caught_up(idle), log=tmp_path / "worker.log")

        assert callers.answered > 50
        _check(idle)


def _check(books: Books) -> None:
    tag = books.tenant.tag
    assert audit(tag) == []
    assert [str(each) for each in rollup_differences(tag)] == []
    assert [str(each) for each in broken_seals(tag)] == []
    with in_tenant(tag):
        opened: Counter[tuple[object, object]] = Counter()
        for entry in LedgerEntry.objects.filter(kind=EntryKind.ROLLOVER):
            opened[entry.budget_ids[0], entry.period_starts_at] += 1
        budgets = list(Budget.objects.filter(period=Period.DAY).values_list("pk", "period_ends_at"))
        days = Counter(budget_id for budget_id, _ in opened)
    assert set(opened.values()) == {1}
    # Each day since then, once, for every budget alike.
    assert {days[budget_id] for budget_id, _ in budgets} <= {DAYS_BEHIND + 1, DAYS_BEHIND + 2}
    assert len({days[budget_id] for budget_id, _ in budgets}) == 1
    assert all(ends_at is not None and ends_at > datetime.now(UTC) for _, ends_at in budgets)


def _is_caught_up(books: Books) -> bool:
    """Nothing waits: every period is open, nothing is due, and all entries are in the sums."""
    now = datetime.now(UTC)
    try:
        with in_tenant(books.tenant.tag):
            mark = RollupMark.objects.filter(pk=1).first()
            return (
                not Budget.objects.filter(period_ends_at__lte=now).exists()
                and not Reservation.objects.filter(status=ReservationStatus.ACTIVE, due_at__lt=now).exists()
                and not Reservation.objects.filter(status=ReservationStatus.ACTIVE, amount=2).exists()
                and mark is not None
                and mark.ledger_seq == LedgerHead.objects.get(pk=1).last_seq
            )
    finally:
        connections.close_all()


def _is_sealed(books: Books) -> bool:
    with in_tenant(books.tenant.tag):
        last = LedgerSeal.objects.order_by("-number").first()
        return last is not None and last.last_seq == LedgerHead.objects.get(pk=1).last_seq


def _environment(server: OwnServer, **more: str) -> dict[str, str]:
    layout = server.servers.layout
    return environment(
        DATABASE_URL=layout.database_url(user="watermaster_runtime"),
        DATABASE_OWNER_URL=layout.database_url(user="watermaster_owner"),
        REDIS_URL=layout.redis_url,
        WATERMASTER_SECRET=settings.WATERMASTER_SECRET,
        **more,
    )


def _kept_work(server: OwnServer, books: Books) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.kept_work", books.tenant.tag],
        cwd=ROOT,
        env=_environment(server),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    # Nobody reads the rest: what it says fits into the pipe for as long as it lives.
    return process


@contextmanager
def _celery(server: OwnServer, log_path: Path) -> Iterator[Callable[[], None]]:
    """The worker with beat inside, its ticks ten times as fast; what is yielded kills it and starts another one."""
    env = _environment(server, TEST_QUEUE=f"test-{uuid4().hex}", TEST_HASTE="10")
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "tests.support.celery_app", "worker", "--beat"]
    command += ["--concurrency=2", "--without-gossip", "--without-mingle", "--loglevel=warning"]
    with log_path.open("ab") as log:

        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

        running = [start()]

        def restart() -> None:
            kill_family(running.pop())
            running.append(start())

        try:
            yield restart
        finally:
            kill_family(running.pop())


def _kill_broker(server: OwnServer) -> None:
    valkey = Valkey(layout=server.servers.layout, account=server.servers.account())
    with redis.Redis.from_url(server.servers.layout.redis_url) as client:
        pid = int(client.info("server")["process_id"])
    psutil.Process(pid).kill()
    _wait(lambda: not valkey.is_running())


def _wait(is_so: Callable[[], bool], *, log: Path | None = None) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline, log.read_text() if log else "it does not come to an end"
        time.sleep(0.1)

"""Many at once, and who waits for whom: what tests of races are made of, with barriers and locks that can be seen."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections

from budgets.services import engine
from budgets.services.operations import Answer, Op
from kernel.ids import Tag, schema_name, uuid7
from kernel.roles import tenant_role
from tests.plugins.live_api import database_url
from tests.support.books import Books

SECONDS_MAX = 20


def burst[T](works: Sequence[Callable[[], T]]) -> list[T | BaseException]:
    """Run each in a thread of its own, all from the same moment: what each gave or raised, in the order of `works`."""
    gate = threading.Barrier(len(works))
    outcomes: list[T | BaseException] = [AssertionError("it did not end")] * len(works)

    def run(number: int) -> None:
        try:
            gate.wait(SECONDS_MAX)
            outcomes[number] = works[number]()
        except BaseException as error:  # noqa: BLE001  the test looks at it
            outcomes[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number], daemon=True) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX * 2)
    return outcomes


def asking(books: Books, op: Op, **fields: Any) -> Callable[[], Answer]:
    """What a client does: with one key, and again while the service is busy."""
    fields = {"idem": uuid7().hex, **fields}

    def ask() -> Answer:
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                return engine.submit(books.tenant.tag, books.operation(op, **fields))
            except engine.EngineUnavailable:
                # Turned away, as by a 503: it comes again a little later.
                time.sleep(random.uniform(0.01, 0.05))
        raise AssertionError("the engine never had time")

    return ask


def statuses(outcomes: Sequence[Answer | BaseException]) -> Counter[str]:
    return Counter(outcome.status if isinstance(outcome, Answer) else repr(outcome) for outcome in outcomes)


class Running[T]:
    """One piece of work on a thread of its own."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._outcome: T | BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._work()
        except BaseException as error:  # noqa: BLE001  `result` raises it
            self._outcome = error
        finally:
            connections.close_all()

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> T:
        self._thread.join(SECONDS_MAX)
        assert self.has_ended, "it did not end"
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome


def until(is_so: Callable[[], bool], *, seconds: float = SECONDS_MAX) -> None:
    """Wait for what must come about by itself; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.002)


@contextmanager
def watcher() -> Iterator[psycopg.Connection]:
    """A connection beside all others, with the owner's rights."""
    with psycopg.connect(database_url("owner"), autocommit=True) as connection:
        yield connection


def waiting_for_locks(connection: psycopg.Connection) -> int:
    """How many sessions of this database wait for a lock."""
    row = connection.execute(
        "SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
        " WHERE NOT l.granted AND a.datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def head_held(tag: Tag) -> Iterator[psycopg.Connection]:
    """Hold the tenant's ledger head, as every writer does, until the block ends; it may write on this connection."""
    schema = schema_name(tag)
    with psycopg.connect(database_url("default")) as connection:
        connection.execute(f'SET search_path = "{schema}"; SET ROLE "{tenant_role(schema)}"'.encode())
        connection.execute("SELECT FROM ledger_head WHERE id = 1 FOR UPDATE")
        yield connection
        connection.commit()


@contextmanager
def in_line_behind(
    tag: Tag, works: Sequence[Callable[[], object]]
) -> Iterator[tuple[list[Running[object]], psycopg.Connection]]:
    """Start the works while the head is held, each when the one before waits for it; let go at the end of the block."""
    with watcher() as seen, head_held(tag) as connection:
        running: list[Running[object]] = []
        before = waiting_for_locks(seen)
        for work in works:
            running.append(Running(work))
            until(lambda: waiting_for_locks(seen) >= before + len(running))
        yield running, connection

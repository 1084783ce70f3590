"""The hot path's own connections: few, kept apart from Django's, each serving mostly the same tenants.

A backend keeps plans for every tenant that it has served, so a tenant prefers one lane (memory stays bounded) and
takes another one only when its own is busy (nobody waits behind another tenant while any lane is free). A lane's
connection is renewed after a while.

When PostgreSQL is in doubt (a call was cut off, a connection could not be made), a thread asks after it, and nobody
else makes connections until it answers: they are refused at once and do not wait in vain one after the other.
"""

import contextlib
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from django.db import connections
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from kernel.ids import Tag
from kernel.tenancy import CELL

#: A call that takes longer is cut off: its caller is told to ask again, and finds the answer by its idempotency key.
CALL_SECONDS_MAX = 1.8
#: How long a caller waits for a lane before it is told that the service is busy.
WAIT_SECONDS_MAX = 1.0
#: How long a caller who needs a new connection waits for news of a PostgreSQL that is in doubt.
DOUBT_SECONDS_MAX = 0.3
LIFETIME_SECONDS = 900
LANES = 12
_PREPARED_MAX = 400

# Plans are made once, while tables are still small, and kept: they must be the ones for large tables.
_PLANNER = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "lock_timeout": "1500ms",
    "statement_timeout": "1700ms",
}


class NoLane(Exception):
    """Every lane was busy for `WAIT_SECONDS_MAX`, or PostgreSQL could not be reached."""


class _RawJson(Loader):
    def load(self, data: Buffer) -> bytes:
        return bytes(data)


@dataclass(slots=True)
class Lane:
    """One connection and what the watch needs to know of it."""

    number: int
    connection: psycopg.Connection[tuple[bytes]] | None = None
    connected_at: float = 0.0
    busy_since: float | None = None
    was_cut: bool = False


@dataclass(slots=True)
class Lanes:
    """A small set of connections, handed out for one call at a time."""

    size: int = LANES
    _free: set[int] = field(default_factory=set)
    _lanes: list[Lane] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _watch: threading.Thread | None = None
    _is_sure: threading.Event = field(default_factory=threading.Event)
    _doubts: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._is_sure.set()
        self._lanes = [Lane(number=number) for number in range(self.size)]
        self._free = set(range(self.size))

    @contextmanager
    def lane(self, tag: Tag, *, is_fresh: bool = False) -> Iterator[Lane]:
        """A lane with a live connection, the tenant's own one where it is free; with `is_fresh`, newly connected.

        Raises `NoLane` when there is none in time or PostgreSQL does not answer. A connection that failed is closed on
        the way out.
        """
        # The wait for a lane counts too: whoever waited long has the less time to ask.
        asked_at = time.monotonic()
        lane = self._take(zlib.crc32(tag.encode()) % self.size)
        try:
            if is_fresh:
                self._drop(lane)
            self._connect(lane)
            lane.busy_since = asked_at
            yield lane
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            # The statement was ended, not the connection.
            raise
        except psycopg.OperationalError:
            self._drop(lane)
            raise
        finally:
            lane.busy_since = None
            # A cut may come in the moment after the answer: then the connection is dead and does not know it.
            if lane.connection is not None and (
                lane.connection.closed or lane.was_cut or time.monotonic() - lane.connected_at > LIFETIME_SECONDS
            ):
                self._drop(lane)
            with self._changed:
                self._free.add(lane.number)
                self._changed.notify()

    @property
    def busy_count(self) -> int:
        """How many are under way now."""
        return self.size - len(self._free)

    def close(self) -> None:
        """Close what is idle; for the end of a process and for tests."""
        with self._changed:
            for number in self._free:
                self._drop(self._lanes[number])

    def _take(self, preferred: int) -> Lane:
        with self._changed:
            if not self._free and not self._changed.wait_for(lambda: bool(self._free), timeout=WAIT_SECONDS_MAX):
                raise NoLane("Every connection is busy.")
            number = preferred if preferred in self._free else next(iter(self._free))
            self._free.discard(number)
            if self._watch is None:
                self._watch = threading.Thread(target=self._watch_lanes, name="lane-watch", daemon=True)
                self._watch.start()
            return self._lanes[number]

    def _connect(self, lane: Lane) -> None:
        if lane.connection is not None and not lane.connection.closed:
            return
        if not self._is_sure.wait(DOUBT_SECONDS_MAX):
            raise NoLane("PostgreSQL cannot be reached.")
        try:
            connection = _new_connection()
        except psycopg.OperationalError as error:
            self._doubt()
            raise NoLane("PostgreSQL cannot be reached.") from error
        connection.adapters.register_loader("json", _RawJson)
        connection.prepare_threshold = 0
        connection.prepared_max = _PREPARED_MAX
        lane.connection, lane.connected_at, lane.was_cut = connection, time.monotonic(), False

    def _doubt(self) -> None:
        """Let nobody connect until PostgreSQL has answered a thread of our own."""
        with self._doubts:
            if self._is_sure.is_set():
                self._is_sure.clear()
                threading.Thread(target=self._ask_after_it, name="lane-doubt", daemon=True).start()

    def _ask_after_it(self) -> None:
        while True:
            try:
                # Being let in is answer enough; a question on top of it might wait for ever.
                _new_connection().close()
            except psycopg.Error:
                time.sleep(0.1)
            else:
                self._is_sure.set()
                return

    @staticmethod
    def _drop(lane: Lane) -> None:
        if lane.connection is not None:
            with contextlib.suppress(psycopg.Error):
                lane.connection.close()
        lane.connection = None

    def _watch_lanes(self) -> None:
        # A stopped PostgreSQL keeps the socket open and answers nothing, so no timeout of its own would fire.
        while True:
            time.sleep(0.1)
            now = time.monotonic()
            for lane in self._lanes:
                since, connection = lane.busy_since, lane.connection
                if since is not None and connection is not None and now - since > CALL_SECONDS_MAX and not lane.was_cut:
                    lane.was_cut = True
                    self._doubt()
                    with contextlib.suppress(OSError, psycopg.Error):
                        socket.socket(fileno=os.dup(connection.fileno())).shutdown(socket.SHUT_RDWR)


def _new_connection() -> psycopg.Connection[tuple[bytes]]:
    """Waits up to two seconds, less than which libpq does not know. Raises `psycopg.OperationalError`."""
    parameters = connections[CELL].get_connection_params()
    options = parameters.pop("options", "")
    for name in (
        "cursor_factory",
        "context",
        "pool",
        "server_side_binding",
        "assume_role",
        "isolation_level",
        "prepare_threshold",
    ):
        parameters.pop(name, None)
    options += "".join(f" -c {name}={value}" for name, value in _PLANNER.items())
    return psycopg.connect(**parameters, options=options, autocommit=True, connect_timeout=2)


_by_process: dict[int, Lanes] = {}


def shared_lanes() -> Lanes:
    """This process's lanes, made at the first use: a forked worker has its own."""
    process = os.getpid()
    return _by_process.get(process) or _by_process.setdefault(process, Lanes())


def database_answers() -> bool:
    """Whether PostgreSQL can be asked now, within `CALL_SECONDS_MAX`; a connection lost while idle does not count."""
    for is_fresh in (False, True):
        lane: Lane | None = None
        try:
            with shared_lanes().lane(Tag(""), is_fresh=is_fresh) as lane:
                assert lane.connection is not None
                lane.connection.execute("SELECT 1")
        except NoLane:
            return False
        except psycopg.Error:
            if lane is None or lane.was_cut:
                return False
        else:
            return True
    return False

"""A PostgreSQL server that a test alone uses, so that it may be killed: this process is pointed at it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from kernel import lanes
from kernel.embedded import Layout, Servers
from kernel.embedded.layout import DATABASE
from kernel.embedded.postgres import Postgres
from tests.support.bursts import until


@dataclass(frozen=True, slots=True)
class OwnServer:
    """The server of one folder, with the shared schema migrated."""

    servers: Servers

    @property
    def postgres(self) -> Postgres:
        return Postgres(layout=self.servers.layout, account=self.servers.account())

    @property
    def socket_folder(self) -> Path:
        return self.servers.layout.socket_folder

    def kill(self) -> None:
        """The postmaster and all its children at once, as a power cut does."""
        postmaster = self._postmaster()
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        connections.close_all()

    def kill_a_backend(self) -> None:
        """One of the engine's backends: the postmaster takes it for a crash and restarts the server."""
        backends = [int(row[0]) for row in self._ask(_BACKENDS)]
        # A backend is a child of our own postmaster: nobody else's process can have this id.
        ours = {process.pid: process for process in self._postmaster().children()}
        _signal(next(ours[pid] for pid in backends if pid in ours), signal.SIGKILL)

    def start(self) -> None:
        self.servers.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It keeps its connections and says nothing, as on a machine that hangs."""
        postmaster = self._postmaster()
        postmaster.send_signal(signal.SIGSTOP)
        family = [postmaster, *postmaster.children()]
        for process in family:
            _signal(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(family):
                _signal(process, signal.SIGCONT)

    def terminate_backends(self) -> int:
        """Cut the engine's connections, busy or idle. How many there were."""
        connections.close_all()
        return len(self._ask(f"SELECT pg_terminate_backend(pid) FROM ({_BACKENDS}) AS b"))

    def cancel_statements(self) -> int:
        """Cancel what the engine's connections are doing. How many were doing something."""
        return len(self._ask(f"SELECT pg_cancel_backend(pid) FROM ({_BACKENDS} AND state = 'active') AS b"))

    def answers(self) -> bool:
        try:
            self._ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def wait_until_it_answers(self) -> None:
        until(self.answers)
        connections.close_all()

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        url = self.servers.layout.database_url(user="postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def _postmaster(self) -> psutil.Process:
        pid = self.postgres.postmaster_pid()
        assert pid is not None
        return psutil.Process(pid)


_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE usename = 'watermaster_runtime'"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@contextmanager
def own_server(folder: Path) -> Iterator[OwnServer]:
    """Started, with the shared schema migrated, and stopped in the end. `pointed_at` lets this process use it."""
    server = OwnServer(Servers(Layout(folder)))
    server.start()
    try:
        with pointed_at(server.socket_folder):
            call_command("migrate_all", shared=True, verbosity=0)
        yield server
    finally:
        server.servers.stop()


@contextmanager
def pointed_at(socket_folder: Path) -> Iterator[None]:
    """Let every connection of this process go to the server behind this folder's socket."""
    before = {alias: dict(settings.DATABASES[alias]) for alias in ("default", "owner")}
    given = {"NAME": DATABASE, "HOST": str(socket_folder), "PORT": "", "PASSWORD": ""}
    users = {"default": "watermaster_runtime", "owner": "watermaster_owner"}
    try:
        for alias, user in users.items():
            _point(alias, {**given, "USER": user})
        yield
    finally:
        for alias in users:
            _point(alias, {name: before[alias][name] for name in (*given, "USER")})


def _point(alias: str, given: dict[str, str]) -> None:
    connections[alias].close()
    settings.DATABASES[alias].update(given)
    connections[alias].settings_dict.update(given)
    if alias == "default":
        lanes.shared_lanes().close()
        # Begin without doubts, and without connections that are in use at this moment.
        lanes._by_process.pop(os.getpid(), None)

"""Both servers of one folder, shared by any number of processes."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kernel.embedded.account import ServerAccount, server_account
from kernel.embedded.errors import DiskFull
from kernel.embedded.layout import Layout
from kernel.embedded.postgres import Postgres
from kernel.embedded.programs import postgres_program
from kernel.embedded.valkey import Valkey

FREE_BYTES_MIN = 300_000_000


@dataclass(slots=True)
class Servers:
    """Starts the pair at most once and stops it when the last user lets go.

    A user is a process that called `hold`. Users are counted by shared locks on a file, which the kernel
    drops when a process dies, so that a killed process leaves nothing to clean up.
    """

    layout: Layout
    _use: int | None = field(default=None, init=False)

    def start(self) -> None:
        """Start what is down. Safe to repeat and to call from many processes at once."""
        with self._locked():
            self._start()

    def hold(self) -> None:
        """Start what is down and count this process as a user until `release` or its end."""
        with self._locked():
            self._start()
            if self._use is None:
                self._use = self._open("users.lock")
                fcntl.flock(self._use, fcntl.LOCK_SH)

    def release(self) -> None:
        """Stop counting as a user; the last one stops the servers."""
        if self._use is None:
            return
        with self._locked():
            try:
                fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                self._stop()
            finally:
                os.close(self._use)
                self._use = None

    def stop(self) -> None:
        """Stop both, whoever uses them. Safe to repeat."""
        if self.layout.root.exists():
            with self._locked():
                self._stop()

    def are_running(self) -> bool:
        postgres, valkey = self._pair(self.account())
        return postgres.is_running() and valkey.is_running()

    def _start(self) -> None:
        postgres, valkey = self._pair(account := self.account())
        if postgres.is_running() and valkey.is_running():
            return
        if shutil.disk_usage(self.layout.root).free < FREE_BYTES_MIN:
            raise DiskFull(self.layout.root)
        for folder in (self.layout.valkey_folder, self.layout.log_folder, self.layout.socket_folder):
            account.own(folder)
        postgres.start()
        valkey.start()

    def _stop(self) -> None:
        postgres, valkey = self._pair(self.account())
        valkey.stop()
        postgres.stop()

    def _pair(self, account: ServerAccount) -> tuple[Postgres, Valkey]:
        return Postgres(layout=self.layout, account=account), Valkey(layout=self.layout, account=account)

    def account(self) -> ServerAccount:
        """Who the servers run as."""
        return server_account(
            reaches=[self.layout.root, postgres_program("postgres").parent], keeps=self.layout.postgres_folder
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._open("start.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open(self, name: str) -> int:
        self.layout.root.mkdir(parents=True, exist_ok=True)
        path: Path = self.layout.root / name
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

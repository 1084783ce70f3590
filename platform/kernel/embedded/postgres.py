"""One PostgreSQL server in a folder: made once, started and stopped as often as one likes."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from kernel.embedded.account import ServerAccount
from kernel.embedded.errors import DiskFull, EmbeddedServerError
from kernel.embedded.layout import DATABASE, SUPERUSER, Layout
from kernel.embedded.programs import postgres_program

START_TIMEOUT_S = 60

# kill() answers ESRCH for it on every system: no kernel hands out process ids so large.
DEAD_PID = 2**31 - 1

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    # Money is only safe with these three; the local servers are no exception.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_connections": "200",
    # Migrating or dumping many tenant schemas in one transaction takes a lock a table.
    "max_locks_per_transaction": "512",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
    # Parameters may hold key digests and customers' names.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    layout: Layout
    account: ServerAccount

    def start(self) -> None:
        """Make the cluster if there is none, start it if it is down, and create roles and database.

        Safe to repeat. The caller holds the layout's lock. Raises `EmbeddedServerError`.
        """
        if self.is_running():
            # It may have been started by an earlier release, with fewer roles.
            self._create_roles_and_database()
            return
        if not (self.layout.postgres_folder / "PG_VERSION").exists():
            self._initialise()
        self._forget_dead_server()
        self._write_settings()
        self._launch()
        self._create_roles_and_database()

    def stop(self) -> None:
        """Stop it at once but cleanly (open connections are cut, nothing acknowledged is lost)."""
        if self.is_running():
            self._pg_ctl("stop", "-m", "fast", "-t", str(START_TIMEOUT_S))

    def is_running(self) -> bool:
        return self._postmaster() is not None

    def postmaster_pid(self) -> int | None:
        postmaster = self._postmaster()
        return None if postmaster is None else postmaster.pid

    @property
    def _pid_file(self) -> Path:
        return self.layout.postgres_folder / "postmaster.pid"

    @property
    def _log_file(self) -> Path:
        return self.layout.log_folder / "postgres.log"

    def _postmaster(self) -> psutil.Process | None:
        """The live server of this folder; a process that merely reuses its old id does not count."""
        try:
            process = psutil.Process(int(self._pid_file.read_text().split("\n", 1)[0]))
            command = process.cmdline()
            started = process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if started and str(self.layout.postgres_folder) in command else None

    def _initialise(self) -> None:
        # Made under another name: the folder exists complete or not at all, whatever interrupts us.
        folder = self.layout.postgres_folder.with_name("postgres.new")
        shutil.rmtree(folder, ignore_errors=True)
        self.account.own(folder)
        result = self.account.run(
            [
                str(postgres_program("initdb")),
                f"--pgdata={folder}",
                f"--username={SUPERUSER}",
                # Only sockets in a folder of ours: who can open the folder is who may connect.
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
            ]
        )
        if result.returncode:
            _refuse(result.stdout, folder=folder, what="PostgreSQL could not set up its data folder")
        with (folder / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude 'watermaster.conf'\n")
        folder.replace(self.layout.postgres_folder)

    def _forget_dead_server(self) -> None:
        """Make the leavings of a killed server harmless.

        PostgreSQL takes a pid file for valid when *any* process of its user has that id, which happens
        after a reboot. Only the id is replaced: the rest of the file names the shared memory that
        PostgreSQL checks for orphaned children of the dead server.
        """
        if self._pid_file.exists():
            lines = self._pid_file.read_text().split("\n")
            self._pid_file.write_text("\n".join([str(DEAD_PID), *lines[1:]]))
        for leaving in self.layout.socket_folder.glob(".s.PGSQL.*"):
            leaving.unlink()

    def _write_settings(self) -> None:
        settings = SETTINGS | {"unix_socket_directories": f"'{self.layout.socket_folder}'"}
        if sys.platform == "linux":
            # After a crash: one syncfs() instead of opening every file of every tenant (1 s, not 60 s).
            settings["recovery_init_sync_method"] = "syncfs"
        text = "".join(f"{name} = {value}\n" for name, value in sorted(settings.items()))
        path = self.layout.postgres_folder / "watermaster.conf"
        path.write_text(text)
        path.chmod(0o644)

    def _launch(self) -> None:
        log_size_before = self._log_file.stat().st_size if self._log_file.exists() else 0
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            result = self._pg_ctl("start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(self._log_file))
            if result.returncode == 0:
                return
            log = self._log_file.read_text(errors="replace")[log_size_before:] if self._log_file.exists() else ""
            # Children of a killed server need a moment to notice; until then the new one must not start.
            if "still in use" in log and time.monotonic() < deadline:
                log_size_before += len(log)
                time.sleep(0.2)
                continue
            _refuse(log or result.stdout, folder=self.layout.postgres_folder, what="PostgreSQL did not start")

    def _pg_ctl(self, action: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [str(postgres_program("pg_ctl")), action, "-D", str(self.layout.postgres_folder), *options]
        return self.account.run(command, timeout_s=START_TIMEOUT_S + 30)

    def _create_roles_and_database(self) -> None:
        script = Path(__file__).with_name("roles.sql").read_text()
        url = self.layout.database_url(user=SUPERUSER, database="postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(script.encode())
            exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not exists:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER watermaster_owner".encode())


def _refuse(output: str, *, folder: Path, what: str) -> None:
    if "No space left on device" in output:
        raise DiskFull(folder)
    reasons = [line for line in output.splitlines() if "FATAL" in line or "PANIC" in line or "error:" in line]
    last = (reasons or output.splitlines() or ["it said nothing"])[-1]
    raise EmbeddedServerError(f"{what}: {last.strip()}")

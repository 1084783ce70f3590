"""One run from the first server to the last: start in order, watch, restart, stop in reverse order."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from config import environment
from config.supervisor.errors import Interrupted, StartRefused
from config.supervisor.health import answers
from config.supervisor.output import Output
from config.supervisor.ports import require_free_port
from config.supervisor.processes import ManagedProcess, end_all, process_specs, spawn
from config.supervisor.state import ProcessIdentity, State, StateFile, end_processes
from kernel.embedded import EmbeddedServerError, Servers

READY_TIMEOUT_S = 60.0
STOP_PATIENCE_S = 10.0
SERVERS_CHECK_INTERVAL_S = 2.0
# A process that ends this often in so short a time will not recover by itself.
RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 60.0

ERROR_LINE = re.compile(r"^[\w.]*(Error|Exception|Configured|Refused)\b.*: ")


@dataclass(slots=True)
class Supervisor:
    """Runs in the main thread: the kernel ties the children to the thread that started them."""

    var: Path
    api_port: int
    console_port: int
    output: Output
    announce: Callable[[str], None]
    """Told each step, in words for the person who waits."""

    _is_stopping: bool = field(default=False, init=False)
    _processes: list[ManagedProcess] = field(default_factory=list, init=False)
    _restarts_monotonic_s: list[float] = field(default_factory=list, init=False)

    def run(self, *, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready` once both planes answer, and stay until asked to stop.

        Raises `StartRefused`, having ended all that was started. A wish to stop is not an error.
        """
        state_file = StateFile(self.var)
        state_file.claim()
        self._listen_to_signals()
        servers = self._servers()
        try:
            self._end_leftovers(state_file)
            self._write_state(state_file)
            require_free_port(self.api_port, variable="API_PORT")
            require_free_port(self.console_port, variable="CONSOLE_PORT")
            if servers is not None:
                self._step("Starting PostgreSQL and Valkey ...")
                servers.start()
            self._step("Bringing the schemas up to date ...")
            self._manage("migrate_all", "--verbosity=0")
            # Servers that are not ours may hold real tenants: they get the demo's only where somebody asks for it.
            if servers is not None or environment.flag(os.environ, "WATERMASTER_DEMO", default=False):
                self._step("Preparing the demo tenants ...")
                self._manage("seed_demo")
            self._step("Starting api, console, worker and beat ...")
            self._start_processes(state_file)
            self._wait_until_ready()
            on_ready()
            self._watch(servers, state_file)
        except Interrupted:
            pass
        except EmbeddedServerError as error:
            raise StartRefused(str(error)) from error
        finally:
            self._say("Stopping ...")
            end_all(self._processes, patience_s=STOP_PATIENCE_S)
            if servers is not None:
                servers.stop()
            state_file.clear()

    def _listen_to_signals(self) -> None:
        def stop(_number: int, _frame: FrameType | None) -> None:
            if self._is_stopping:
                # Asked twice: no more patience.
                for managed in self._processes:
                    managed.kill_group()
            self._is_stopping = True

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)

    def _servers(self) -> Servers | None:
        layout = environment.servers(os.environ).embedded
        return None if layout is None else Servers(layout)

    def _end_leftovers(self, state_file: StateFile) -> None:
        """End the children of a supervisor that was killed; ours would compete with them."""
        state = state_file.read()
        if state is not None and end_processes(state.processes, patience_s=STOP_PATIENCE_S):
            self._say("Ended what an earlier run had left behind.")

    def _manage(self, *arguments: str) -> None:
        """Run a command of manage.py to its end; raises `StartRefused` with its last line."""
        process = subprocess.Popen(
            [sys.executable, str(environment.BASE_DIR / "manage.py"), *arguments],
            env=self._environ(),
            cwd=environment.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        while True:
            try:
                said, _ = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if self._is_stopping:
                    process.terminate()
        self._raise_if_stopping()
        if process.returncode:
            lines = said.strip().splitlines() or ["it said nothing"]
            for line in lines:
                self.output.line("setup", line)
            # PostgreSQL's hints and contexts follow the line that names the error.
            reasons = [line for line in lines if ERROR_LINE.match(line)] or lines
            raise StartRefused(f"manage.py {arguments[0]} failed: {reasons[-1]}")

    def _start_processes(self, state_file: StateFile) -> None:
        specs = process_specs(environ=os.environ, var=self.var, api_port=self.api_port, console_port=self.console_port)
        for spec in specs:
            self._processes.append(
                spawn(spec, environ=self._environ(), folder=environment.BASE_DIR, output=self.output)
            )
        self._write_state(state_file)

    def _wait_until_ready(self) -> None:
        waiting = {"api": (self.api_port, "/actuator/health"), "console": (self.console_port, "/healthz")}
        deadline = time.monotonic() + READY_TIMEOUT_S
        while waiting:
            self._raise_if_stopping()
            for managed in self._processes:
                if not managed.is_running():
                    raise StartRefused(f"The {managed.spec.name} ended at once; {self._last_words(managed)}")
            waiting = {name: address for name, address in waiting.items() if not answers(*address)}
            if waiting and time.monotonic() > deadline:
                name = next(iter(waiting))
                raise StartRefused(
                    f"The {name} did not answer within {READY_TIMEOUT_S:.0f} s; it said: {self.output.last_line(name)}"
                )
            time.sleep(0.1)

    def _watch(self, servers: Servers | None, state_file: StateFile) -> None:
        next_servers_check = time.monotonic() + SERVERS_CHECK_INTERVAL_S
        while True:
            self._raise_if_stopping()
            for index, managed in enumerate(self._processes):
                if not managed.is_running():
                    self._processes[index] = self._restarted(managed)
                    self._write_state(state_file)
            if servers is not None and time.monotonic() >= next_servers_check:
                self._revive(servers)
                next_servers_check = time.monotonic() + SERVERS_CHECK_INTERVAL_S
            time.sleep(0.2)

    def _revive(self, servers: Servers) -> None:
        """Start a server that died. A full disk is met here: keep trying, the api answers 503 meanwhile."""
        if not servers.are_running():
            self._say("PostgreSQL or Valkey was down; starting it again.")
            try:
                servers.start()
            except EmbeddedServerError as error:
                self._say(str(error))

    def _restarted(self, managed: ManagedProcess) -> ManagedProcess:
        now = time.monotonic()
        self._restarts_monotonic_s = [at for at in self._restarts_monotonic_s if now - at < RESTARTS_WINDOW_S]
        if len(self._restarts_monotonic_s) >= RESTARTS_MAX:
            raise StartRefused(f"The {managed.spec.name} keeps ending; {self._last_words(managed)}")
        self._restarts_monotonic_s.append(now)
        self._say(f"{managed.spec.name} ended with {managed.process.returncode}; starting it again.")
        # Its own children must not keep the port.
        managed.kill_group()
        return spawn(managed.spec, environ=self._environ(), folder=environment.BASE_DIR, output=self.output)

    def _last_words(self, managed: ManagedProcess) -> str:
        managed.reader.join(timeout=1)
        return f"it said: {self.output.last_line(managed.spec.name)}"

    def _write_state(self, state_file: StateFile) -> None:
        own = psutil.Process()
        state_file.write(
            State(
                supervisor=ProcessIdentity("supervisor", own.pid, own.create_time()),
                api_port=self.api_port,
                console_port=self.console_port,
                processes=tuple(
                    ProcessIdentity(managed.spec.name, managed.process.pid, managed.created_at_s)
                    for managed in self._processes
                ),
            )
        )

    def _environ(self) -> dict[str, str]:
        return os.environ | {
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "WATERMASTER_VAR": str(self.var),
            "API_PORT": str(self.api_port),
            "CONSOLE_PORT": str(self.console_port),
        }

    def _step(self, text: str) -> None:
        self._raise_if_stopping()
        self.announce(text)

    def _say(self, text: str) -> None:
        self.output.line("watch", text)

    def _raise_if_stopping(self) -> None:
        if self._is_stopping:
            raise Interrupted

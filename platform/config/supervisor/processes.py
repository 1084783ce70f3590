"""The processes of one installation, and what it takes to start and end one."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from config.supervisor.output import Output
from config.supervisor.ports import HOST

# A granian thread holds no database connection while it waits in a combiner, so many are cheap.
API_WORKERS = 2
API_THREADS = 256
CONSOLE_THREADS = 8
WORKER_CONCURRENCY = 2
# Threads that wait for receivers of webhooks: one that hangs holds one of them for ten seconds.
EGRESS_THREADS = 16


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    name: str
    command: tuple[str, ...]


def process_specs(*, environ: Mapping[str, str], var: Path, api_port: int, console_port: int) -> list[ProcessSpec]:
    """What runs, in the order in which it starts; it ends in the opposite order."""
    python = sys.executable
    granian = (python, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--http", "1", "--no-ws")
    steady = ("--respawn-failed-workers", "--workers-kill-timeout", "8", "--log-level", "error")
    # Work that can wait makes way for a decision, and for the start of the other two.
    celery = (*_gently(), python, "-m", "celery", "--quiet", "-A", "config.celery")
    return [
        ProcessSpec(
            "api",
            (
                *granian,
                *steady,
                f"--port={api_port}",
                f"--workers={environ.get('API_WORKERS') or API_WORKERS}",
                f"--blocking-threads={environ.get('API_THREADS') or API_THREADS}",
                "config.wsgi_api:application",
            ),
        ),
        ProcessSpec(
            "console",
            (
                *granian,
                *steady,
                f"--port={console_port}",
                "--workers=1",
                f"--blocking-threads={CONSOLE_THREADS}",
                "config.wsgi_console:application",
            ),
        ),
        ProcessSpec(
            "worker",
            (
                *celery,
                "worker",
                "--loglevel=warning",
                f"--concurrency={WORKER_CONCURRENCY}",
                "--without-gossip",
                "--without-mingle",
            ),
        ),
        ProcessSpec(
            "egress",
            (
                *celery,
                "worker",
                "--queues=webhooks",
                "--pool=threads",
                "--hostname=egress@%h",
                "--loglevel=warning",
                f"--concurrency={EGRESS_THREADS}",
                "--without-gossip",
                "--without-mingle",
            ),
        ),
        # Celery's own pid file would outlive a killed beat and keep the next one from starting.
        ProcessSpec("beat", (*celery, "beat", "--loglevel=warning", "--pidfile=")),
    ]


@dataclass(slots=True)
class ManagedProcess:
    """One running process, in a session of its own: a terminal's Ctrl-C reaches the supervisor only."""

    spec: ProcessSpec
    process: subprocess.Popen[str]
    started_monotonic_s: float
    created_at_s: float
    reader: threading.Thread = field(repr=False)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def ask_to_end(self) -> None:
        if self.is_running():
            self.process.terminate()

    def kill_group(self) -> None:
        """Kill it and what it started. The kernel gives a group's id to nobody else while a member lives."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def spawn(spec: ProcessSpec, *, environ: Mapping[str, str], folder: Path, output: Output) -> ManagedProcess:
    """Start one process whose lines go to `output`. To be called from the main thread (see below)."""
    process = subprocess.Popen(
        [*_dies_with_parent(), *spec.command],
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    return ManagedProcess(
        spec=spec,
        process=process,
        started_monotonic_s=time.monotonic(),
        created_at_s=psutil.Process(process.pid).create_time(),
        reader=output.follow(spec.name, process.stdout),
    )


def end_all(processes: Sequence[ManagedProcess], *, patience_s: float) -> None:
    """Ask all to end, wait, then kill the stubborn and every grandchild. Safe to repeat."""
    for managed in reversed(processes):
        managed.ask_to_end()
    deadline = time.monotonic() + patience_s
    while any(managed.is_running() for managed in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    for managed in processes:
        managed.kill_group()
        managed.process.wait()
        managed.reader.join(timeout=1)


def _gently() -> tuple[str, ...]:
    nice = shutil.which("nice")
    return () if nice is None else (nice, "-n", "5")


@cache
def _dies_with_parent() -> tuple[str, ...]:
    """On Linux the kernel ends the process when the thread that started it dies, even by kill -9."""
    setpriv = shutil.which("setpriv")
    if sys.platform != "linux" or setpriv is None:
        return ()
    prefix = (setpriv, "--pdeathsig", "TERM", "--")
    works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if works else ()

"""The bench's own servers in a folder of its own, and the processes under test, started as `make up` starts them."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil
from django.db import connections

from bench.errors import BenchRefused
from config.environment import BASE_DIR
from config.supervisor.health import answers
from config.supervisor.output import Output, RotatingFile
from config.supervisor.processes import ManagedProcess, ProcessSpec, end_all, process_specs, spawn
from kernel.embedded import Layout, Servers
from kernel.lanes import shared_lanes

START_SECONDS_MAX: Final = 60
#: What makes an answer durable. A rate measured without one of them says nothing.
DURABLE: Final = ("fsync", "synchronous_commit", "full_page_writes")


@contextmanager
def private_servers(layout: Layout) -> Iterator[Servers]:
    """Fresh and migrated, stopped at the end. The books stay in the folder until the next run, for who wants to look.

    Raises `BenchRefused` if another bench runs, or if PostgreSQL is not durable.
    """
    with _only_bench(layout.root):
        servers = Servers(layout)
        # Those of a run that was killed.
        servers.stop()
        for folder in (layout.postgres_folder, layout.valkey_folder):
            shutil.rmtree(folder, ignore_errors=True)
        servers.hold()
        try:
            _migrate()
            require_durable()
            yield servers
        finally:
            shared_lanes().close()
            connections.close_all()
            servers.release()


def _migrate() -> None:
    """By a process of its own: the api's plane, which is measured, does not know the apps of people's sign-in."""
    subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "migrate_all", "--shared", "--verbosity=0"],
        cwd=BASE_DIR,
        env=os.environ | {"WATERMASTER_PLANE": "console"},
        check=True,
    )


def require_durable() -> None:
    """Ask the server, as a session of the runtime sees it. Raises `BenchRefused`."""
    for name in DURABLE:
        if (value := server_setting(name)) != "on":
            raise BenchRefused(f"PostgreSQL runs with {name} = {value}: what is measured so is not worth a figure.")


def server_setting(name: str) -> str:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        value: str = cursor.fetchone()[0]
    return value


def api_spec(*, var: Path, port: int) -> ProcessSpec:
    """The api process of `make up`, on this port."""
    specs = process_specs(environ=os.environ, var=var, api_port=port, console_port=0)
    return next(spec for spec in specs if spec.name == "api")


def bare_spec(api: ProcessSpec) -> ProcessSpec:
    """The same server with the same workers and threads around a view that does nothing; the port is to be replaced."""
    *command, application = api.command
    assert application == "config.wsgi_api:application"
    return ProcessSpec("bare", (*command, "bench.bare:application"))


def at_port(spec: ProcessSpec, port: int) -> ProcessSpec:
    command = tuple(f"--port={port}" if part.startswith("--port=") else part for part in spec.command)
    return replace(spec, command=command)


@contextmanager
def serving(spec: ProcessSpec, *, port: int, var: Path, environ: Mapping[str, str]) -> Iterator[psutil.Process]:
    """The process `spec` until the block ends, answering at `port`. Raises `BenchRefused` if it does not."""
    log = var / "log" / f"{spec.name}.log"
    managed = spawn(spec, environ={**os.environ, **environ}, folder=BASE_DIR, output=Output(RotatingFile(log)))
    try:
        _wait_until_ready(managed, port=port, log=log)
        yield psutil.Process(managed.process.pid)
    finally:
        end_all([managed], patience_s=10)


def _wait_until_ready(managed: ManagedProcess, *, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while not answers(port, "/healthz"):
        if not managed.is_running() or time.monotonic() > deadline:
            raise BenchRefused(f"The {managed.spec.name} process did not come up: see {log}.")
        time.sleep(0.1)


@contextmanager
def _only_bench(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "bench.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise BenchRefused("Another bench runs from this folder: two at once would measure each other.") from error
    try:
        yield
    finally:
        os.close(lock)

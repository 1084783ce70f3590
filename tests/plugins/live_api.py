"""The api process itself, on a free port, over the run's own database. What it prints is kept for tests to read."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.db import connections

from tests.plugins.servers import ROOT

# A machine that others use too takes its time.
START_SECONDS_MAX = 60


def database_url(alias: str) -> str:
    """The address of the run's database, as a process of its own needs it."""
    given = connections[alias].settings_dict
    host, port = given["HOST"], given["PORT"] or "5432"
    login = given["USER"] + (f":{given['PASSWORD']}" if given["PASSWORD"] else "")
    if host.startswith("/"):
        return f"postgresql://{login}@/{given['NAME']}?host={host}&port={port}"
    return f"postgresql://{login}@{host}:{port}/{given['NAME']}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_database() -> dict[str, str]:
    """The environment that points a process at this run's servers."""
    return {
        "DATABASE_URL": database_url("default"),
        "DATABASE_OWNER_URL": database_url("owner"),
        "REDIS_URL": settings.REDIS_URL,
    }


def start_api(
    port: int, *, workers: int = 1, output: Path | None = None, servers: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Granian as the supervisor starts it, over the run's servers or others that the environment `servers` names.

    All that it prints goes to the end of the file `output`.
    """
    # The shorter time for a request saves the tests waiting.
    environment = os.environ | {"API_REQUEST_SECONDS": "4", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}"}
    environment |= run_database() if servers is None else servers
    with (output or Path(os.devnull)).open("ab") as sink:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi_api:application"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", str(workers), "--blocking-threads", "32"),
                *("--http", "1", "--no-ws"),
            ],
            env=environment,
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return process
        except (URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("The api process did not come up." + (output.read_text(errors="replace") if output else ""))


def stop_api(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and end it where it does not: whoever looks at how it ends waits longer."""
    process.terminate()
    try:
        process.wait(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class LiveApi:
    """A running api process."""

    url: str
    process: "subprocess.Popen[bytes]"
    output: Path

    def printed(self) -> str:
        """All that the process has printed so far."""
        return self.output.read_text(errors="replace")


@pytest.fixture(scope="session")
def live_api(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """The api process of this run; tests may read it and must not stop it."""
    port, output = free_port(), tmp_path_factory.mktemp("api") / "output.txt"
    process = start_api(port, output=output)
    yield LiveApi(url=f"http://127.0.0.1:{port}", process=process, output=output)
    stop_api(process)


@pytest.fixture(scope="session")
def api_url(live_api: LiveApi) -> str:
    """Where the api plane answers for this run."""
    return live_api.url

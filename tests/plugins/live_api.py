"""The api process itself, on a free port, over the run's own database."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.db import connections

from tests.plugins.servers import ROOT

START_SECONDS_MAX = 20


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


def start_api(port: int, *, workers: int = 1) -> "subprocess.Popen[bytes]":
    """Granian as the README starts it, with the run's database."""
    environment = os.environ | {
        "DATABASE_URL": database_url("default"),
        "DATABASE_OWNER_URL": database_url("owner"),
        "REDIS_URL": settings.REDIS_URL,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi_api:application"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", str(workers), "--blocking-threads", "32"),
            "--no-ws",
        ],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
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
    raise RuntimeError("The api process did not come up.")


@pytest.fixture(scope="session")
def api_url(django_db_setup: None) -> Iterator[str]:
    """Where the api plane answers for this run."""
    port = free_port()
    process = start_api(port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=15)

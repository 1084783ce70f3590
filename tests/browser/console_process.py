"""The console process itself, on a free port, over the run's own database."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.plugins.live_api import START_SECONDS_MAX, free_port, run_database
from tests.plugins.servers import ROOT


@contextmanager
def running_console(log: Path, **environment: str) -> Iterator[str]:
    """Granian as the supervisor starts it; its address. What it prints goes to `log`."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi_console:application"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "4"),
        *("--http", "1", "--no-ws"),
    ]
    url = f"http://127.0.0.1:{port}"
    own = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}", "CONSOLE_URL": url}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=os.environ | own | run_database() | environment,
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{url}/readyz", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"The console did not come up: {log.read_text()}")

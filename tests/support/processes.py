"""Processes of their own over the run's database."""

import contextlib
import os
import subprocess

import psutil

from tests.plugins.live_api import run_database
from tests.plugins.servers import ROOT


def environment(**more: str) -> dict[str, str]:
    """What a process needs to be part of this run; it starts nothing of its own."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'platform'}"
    return dict(os.environ) | run_database() | {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": path} | more


def kill_family(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and those that it forked, which nobody else ends: a worker has a beat, and a pool."""
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=10)

"""The environment of a process of its own over the run's database."""

import os

from tests.plugins.live_api import run_database
from tests.plugins.servers import ROOT


def environment(**more: str) -> dict[str, str]:
    """What a process needs to be part of this run; it starts nothing of its own."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'platform'}"
    return dict(os.environ) | run_database() | {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": path} | more

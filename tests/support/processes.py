"""The environment of a process of its own over the run's database."""

import os

from django.conf import settings

from tests.plugins.live_api import database_url
from tests.plugins.servers import ROOT


def environment(**more: str) -> dict[str, str]:
    """What a process needs to be part of this run; it starts nothing of its own."""
    return (
        dict(os.environ)
        | {
            "DATABASE_URL": database_url("default"),
            "DATABASE_OWNER_URL": database_url("owner"),
            "REDIS_URL": settings.REDIS_URL,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
        }
        | more
    )

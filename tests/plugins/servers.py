"""The servers under the tests.

The embedded servers of the tests live in ``var/test``, are started at most once, are shared by all runs
that go on at the same time, and stop with the last of them. With DATABASE_URL and REDIS_URL set, those
servers are used and none is started.

Nothing in ``var/test`` has to outlive a power cut, so that server does not wait for the disk. Tests that kill
a server, or ask whether one is durable, start one of their own; and a folder that somebody named is left as it is.
"""

import os
from pathlib import Path

import psycopg
import pytest

from kernel.embedded import Layout, Servers

ROOT = Path(__file__).resolve().parents[2]

IS_OURS = "WATERMASTER_VAR" not in os.environ
# pytest loads this plugin by name, before Django's settings: the settings read the environment once.
os.environ.setdefault("WATERMASTER_VAR", str(ROOT / "var" / "test"))
# Some tests empty the cache, and this one's alone is theirs.
os.environ["VALKEY_DATABASE"] = str(1 + os.getpid() % 1023)
USES_EMBEDDED = not os.environ.get("DATABASE_URL")
LAYOUT = Layout(Path(os.environ["WATERMASTER_VAR"]).resolve())

#: Of PostgreSQL in ``var/test``. Tenants come and go by the thousand there.
HASTY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_compression": "off",
    "checkpoint_timeout": "15min",
    "max_wal_size": "4GB",
}

_servers = Servers(LAYOUT)


def _hurry() -> None:
    """Let the server of the tests trade durability for speed, from now on."""
    with psycopg.connect(LAYOUT.database_url(user="postgres", database="postgres"), autocommit=True) as admin:
        for name, value in HASTY.items():
            admin.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        admin.execute("SELECT pg_reload_conf()")


def pytest_configure(config: pytest.Config) -> None:
    if USES_EMBEDDED and not config.option.collectonly:
        _servers.hold()
        # Workers find the folder named by whoever started them, and this done.
        if IS_OURS:
            _hurry()


def pytest_unconfigure() -> None:
    # Django's connections are closed by then; the last run of all stops the servers.
    _servers.release()

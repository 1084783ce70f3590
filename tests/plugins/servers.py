"""The servers under the tests.

The embedded servers of the tests live in ``var/test``, are started at most once, are shared by all runs
that go on at the same time, and stop with the last of them. With DATABASE_URL and REDIS_URL set, those
servers are used and none is started.
"""

import os
from pathlib import Path

import pytest

from kernel.embedded import Layout, Servers

ROOT = Path(__file__).resolve().parents[2]

# pytest loads this plugin by name, before Django's settings: the settings read the environment once.
os.environ.setdefault("WATERMASTER_VAR", str(ROOT / "var" / "test"))
USES_EMBEDDED = not os.environ.get("DATABASE_URL")
LAYOUT = Layout(Path(os.environ["WATERMASTER_VAR"]).resolve())

_servers = Servers(LAYOUT)


def pytest_configure(config: pytest.Config) -> None:
    if USES_EMBEDDED and not config.option.collectonly:
        _servers.hold()


def pytest_unconfigure() -> None:
    # Django's connections are closed by then; the last run of all stops the servers.
    _servers.release()

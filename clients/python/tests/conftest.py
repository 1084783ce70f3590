from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_server import FakeServer
from watermaster_client import Retry, Watermaster

KEY = "wm_live_abcdefghij2345672345_0123456789abcdef_secret_check1"
QUICK = Retry(first_wait_s=0.001, wait_s_max=0.2)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.go_away()


@pytest.fixture
def wm(server: FakeServer, tmp_path: Path) -> Iterator[Watermaster]:
    with Watermaster(
        server.url,
        KEY,
        subject={"workspace": "prod", "agent": "triage"},
        retry=QUICK,
        outbox_folder=tmp_path / "outbox",
    ) as client:
        yield client

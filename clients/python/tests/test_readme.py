"""What the README shows, works."""

import re
from pathlib import Path

import pytest

from tests.conftest import KEY
from tests.fake_server import ADMIT, SETTLE, FakeServer

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```py\n(.*?)```", README, re.DOTALL)


def test_blocks_run_in_order(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WATERMASTER_URL", server.url)
    monkeypatch.setenv("WATERMASTER_API_KEY", KEY)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    names: dict[str, object] = {}

    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)

    assert len(BLOCKS) == 7
    assert capsys.readouterr().out.endswith("COMMITTED\n")
    assert [call.path for call in server.calls] == [ADMIT, SETTLE] * 2
    assert names["pydantic_agent"](None)  # type: ignore[operator]  # a function of the README

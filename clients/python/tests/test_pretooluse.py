"""The hook as Claude Code runs it: an event on standard input, a decision on standard output."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KEY
from tests.fake_server import ADMIT, FakeServer, Reply, denial
from watermaster_client.hooks.claude_code_pretooluse import decide

EVENT = {
    "session_id": "7c1e0b6e-1f2d-4a0e-9a43-2f6a3f0f8a11",
    "transcript_path": "/home/ada/.claude/projects/x/7c1e.jsonl",
    "cwd": "/home/ada/project",
    "permission_mode": "default",
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "echo a-secret", "description": "Print it"},
    "tool_use_id": "toolu_01ABC123",
}


@pytest.fixture
def environ(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return {
        "WATERMASTER_URL": server.url,
        "WATERMASTER_API_KEY": KEY,
        "WATERMASTER_HOOK_TIMEOUT_S": "2",
        "XDG_STATE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }


def run(environ: dict[str, str]) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "watermaster_client.hooks.claude_code_pretooluse"],
        input=json.dumps(EVENT),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    output: dict[str, Any] = json.loads(result.stdout)["hookSpecificOutput"] if result.stdout else {}
    return output


class TestPreToolUse:
    def test_allows_what_is_admitted_and_books_its_price(self, environ: dict[str, str], server: FakeServer) -> None:
        assert run(environ | {"WATERMASTER_HOOK_ON_ALLOW": "allow"}) == {
            "hookEventName": "PreToolUse",
            "permissionDecision": "allow",
            "permissionDecisionReason": "Watermaster admits Bash.",
        }

        question = server.to(ADMIT)[0].body
        assert question["action"] == {"kind": "tool.call", "name": "Bash"}
        assert question["subject"] == {"agent": "claude-code"}
        assert question["run"] == {"run_id": EVENT["session_id"]}
        assert server.to("/v1/reservations/rsv_1/commit")[0].body["actual"]["amount"] == 500
        assert "a-secret" not in json.dumps([call.body for call in server.calls])

    @pytest.mark.parametrize(
        ("code", "decision"), [("TOOL_DENIED", "deny"), ("KILL_SWITCH", "deny"), ("TOOL_GATED", "ask")]
    )
    def test_says_no_or_asks_with_the_reason(
        self, environ: dict[str, str], server: FakeServer, code: str, decision: str
    ) -> None:
        server.then(ADMIT, Reply(body=denial(code)))

        assert decide(json.dumps(EVENT), environ) == (decision, f"Refused: {code}. http://console/explain/dec_1/")

    def test_asks_with_one_key_for_one_call(self, environ: dict[str, str], server: FakeServer) -> None:
        for event in (EVENT, EVENT, EVENT | {"tool_use_id": "toolu_02"}):
            decide(json.dumps(event), environ)

        keys = [call.body["idempotency_key"] for call in server.to(ADMIT)]
        assert keys[0] == keys[1] != keys[2]

    def test_leaves_what_is_admitted_to_the_users_own_rules(self, environ: dict[str, str]) -> None:
        assert run(environ) == run(environ | {"WATERMASTER_HOOK_ON_ALLOW": "none"}) == {}

    def test_takes_the_subject_from_the_environment(self, environ: dict[str, str], server: FakeServer) -> None:
        decide(json.dumps(EVENT), environ | {"WATERMASTER_SUBJECT": '{"workspace": "prod", "agent": "coder"}'})

        assert server.to(ADMIT)[0].body["subject"] == {"workspace": "prod", "agent": "coder"}


class TestWithoutAnAnswer:
    @pytest.mark.parametrize(
        ("setting", "decision"),
        [(None, "deny"), ("deny", "deny"), ("ask", "ask"), ("allow", "allow"), ("open", "deny")],
    )
    def test_decides_as_the_setting_says(
        self, environ: dict[str, str], server: FakeServer, setting: str | None, decision: str
    ) -> None:
        server.always(ADMIT, Reply(503))
        if setting is not None:
            environ["WATERMASTER_HOOK_ON_ERROR"] = setting

        decided, reason = decide(json.dumps(EVENT), environ)

        assert decided == decision
        assert reason.startswith(f"Watermaster could not be asked, and WATERMASTER_HOOK_ON_ERROR says {decision}. 503")

    def test_is_closed_while_the_server_hangs(self, environ: dict[str, str], server: FakeServer) -> None:
        server.always(ADMIT, Reply(delay_s=5))

        assert run(environ)["permissionDecision"] == "deny"

    @pytest.mark.parametrize("event", ["", "{", "[]", "{}", '{"tool_name": 7}'])
    def test_is_closed_for_an_event_that_is_none(self, environ: dict[str, str], event: str) -> None:
        assert decide(event, environ)[0] == "deny"

    @pytest.mark.parametrize("name", ["WATERMASTER_URL", "WATERMASTER_API_KEY"])
    def test_names_the_setting_that_is_missing(self, environ: dict[str, str], name: str) -> None:
        del environ[name]

        decision, reason = decide(json.dumps(EVENT), environ)

        assert (decision, reason.endswith(f"{name} is not set.")) == ("deny", True)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("WATERMASTER_URL", "nowhere"), ("WATERMASTER_SUBJECT", "agent=x"), ("WATERMASTER_HOOK_TIMEOUT_S", "soon")],
    )
    def test_is_closed_for_a_setting_that_is_wrong(self, environ: dict[str, str], name: str, value: str) -> None:
        assert decide(json.dumps(EVENT), environ | {name: value})[0] == "deny"

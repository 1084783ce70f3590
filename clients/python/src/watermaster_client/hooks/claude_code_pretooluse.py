"""Claude Code's PreToolUse hook: may this tool be called? The command is `watermaster-pretooluse`.

Reads the event from standard input, admits the call as `tool.call` in the run of the session, and prints the decision:
`allow`, `deny` with the reason, or `ask` for a gated tool. What the tool is called with is never sent.

Settings, from the environment:

- `WATERMASTER_URL`, `WATERMASTER_API_KEY`: the server, and a key of the tenant.
- `WATERMASTER_SUBJECT`: whom it is for, as a JSON object; `{"agent": "claude-code"}` without it.
- `WATERMASTER_HOOK_ON_ERROR`: what to decide when there is no answer: `deny` (without it), `ask` or `allow`.
- `WATERMASTER_HOOK_ON_ALLOW`: `none` (without it) leaves an admitted call to Claude Code's own permission rules;
  `allow` skips its question.
- `WATERMASTER_HOOK_TIMEOUT_S`: seconds for an answer, 5 without it. Claude Code's own limit for the hook must be
  longer, because it lets a call through whose hook takes too long.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from watermaster_client.client import Watermaster
from watermaster_client.errors import Denied, WatermasterError
from watermaster_client.integrations.common import book_tool, tool_action
from watermaster_client.transport import Retry
from watermaster_client.wire import Run

_DECISIONS: Final = ("deny", "ask", "allow")
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class HookError(Exception):
    """The event or a setting is not as it must be."""


def main() -> int:
    """Always 0: every other code but 2 would let the call through without a word."""
    decision, reason = decide(sys.stdin.read(), os.environ)
    if decision != "none":
        output = {"hookEventName": "PreToolUse", "permissionDecision": decision, "permissionDecisionReason": reason}
        print(json.dumps({"hookSpecificOutput": output}))
    return 0


def decide(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The decision and its reason; never raises."""
    try:
        return _decide(_event(text), environ)
    except Exception as error:  # noqa: BLE001 - a hook that ends with an error lets the call through
        on_error = environ.get("WATERMASTER_HOOK_ON_ERROR", "deny")
        decision = on_error if on_error in _DECISIONS else "deny"
        what = str(error) if isinstance(error, WatermasterError | HookError) else f"{type(error).__name__}: {error}"
        return decision, f"Watermaster could not be asked, and WATERMASTER_HOOK_ON_ERROR says {decision}. {what}"


def _decide(event: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, str]:
    tool, timeout_s = event["tool_name"], float(environ.get("WATERMASTER_HOOK_TIMEOUT_S", "5"))
    with Watermaster(
        _setting(environ, "WATERMASTER_URL"),
        _setting(environ, "WATERMASTER_API_KEY"),
        subject=json.loads(environ.get("WATERMASTER_SUBJECT", '{"agent": "claude-code"}')),
        timeout_s=timeout_s / 2,
        retry=Retry(attempts_max=2, total_s=timeout_s / 2),
    ) as wm:
        session = str(event.get("session_id", ""))
        run: Run | None = {"run_id": session} if _RUN_ID.fullmatch(session) else None
        try:
            act = wm.admit(action=tool_action(tool), run=run, idempotency_key=_key(event))
        except Denied as denied:
            why = f"{denied} {denied.explain_url}".strip()
            return ("ask" if denied.codes == {"TOOL_GATED"} else "deny"), why
        # Nobody tells us how the call ends, so its price is booked as it begins.
        book_tool(act)
    decision = "allow" if environ.get("WATERMASTER_HOOK_ON_ALLOW") == "allow" else "none"
    return decision, f"Watermaster admits {tool}."


def _event(text: str) -> Mapping[str, Any]:
    event = json.loads(text)
    if not isinstance(event, dict) or not isinstance(event.get("tool_name"), str):
        raise HookError("The event on standard input is no PreToolUse event: it has no tool_name.")
    return event


def _setting(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise HookError(f"{name} is not set.")
    return environ[name]


def _key(event: Mapping[str, Any]) -> str | None:
    """One call of a tool has one key, however often its hook runs."""
    if "tool_use_id" not in event:
        return None
    return hashlib.sha256(f"{event.get('session_id')}/{event['tool_use_id']}".encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())

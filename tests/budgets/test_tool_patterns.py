"""The verdict on all the tools that a pattern means, for what is leased without naming one."""

import pytest

from budgets.selectors.tool_verdicts import verdict_of_all


@pytest.mark.parametrize(
    ("rules", "default", "verdict"),
    [
        ([], "allow", "allow"),
        ([], "deny", "deny"),
        ([("slack.delete", "deny")], "allow", "deny"),
        ([("*.DELETE", "gated")], "allow", "gated"),
        ([("slack*", "allow"), ("*.delete", "deny")], "deny", "allow"),
        ([("*", "allow")], "deny", "allow"),
        ([("slack.post", "allow"), ("slack.*", "deny")], "allow", "deny"),
        ([("slack.*.now", "deny")], "allow", "deny"),
        ([("zendesk.*", "deny"), ("slackers.*", "deny"), ("slack", "deny")], "allow", "allow"),
        ([("slack.read", "allow")], "deny", "deny"),
    ],
)
def test_takes_the_first_rule_that_has_them_all_or_denies_one(
    rules: list[tuple[str, str]], default: str, verdict: str
) -> None:
    written = [{"pattern": pattern, "verdict": each} for pattern, each in rules]

    assert verdict_of_all({"rules": written, "default": default}, "slack.*") == verdict

"""Which tools may be called: the first rule that fits decides, else the default. Case does not count."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from budgets.services.patterns import covers, fits
from budgets.services.policy_refusal import InvalidPolicy, read_part
from budgets.services.rule_parts import Part

ToolPattern = Annotated[
    str,
    Meta(
        pattern=r"\A[!-~]{1,256}\Z",
        description="1 to 256 printable characters without spaces, with * for anything",
    ),
]


class ToolVerdict(StrEnum):
    """GATED: the runtime may see it, and every call waits for a person."""

    ALLOW = "allow"
    DENY = "deny"
    GATED = "gated"


class ToolRule(Part, frozen=True, kw_only=True):
    pattern: ToolPattern
    verdict: ToolVerdict


class ToolPolicy(Part, frozen=True, kw_only=True):
    default: ToolVerdict = ToolVerdict.ALLOW
    rules: Annotated[tuple[ToolRule, ...], Meta(max_length=256)] = ()

    def deciding_rule(self, tool: str) -> int | None:
        """The position of the rule that decides on the tool; None for the default."""
        name = tool.lower()
        return next((n for n, rule in enumerate(self.rules) if fits(rule.pattern.lower(), name)), None)

    def as_rules(self, *, version: int) -> dict[str, Any]:
        """As decisions read it. `version` is that of the policy, zero for the plan's own."""
        rules = [{"pattern": rule.pattern.lower(), "verdict": str(rule.verdict)} for rule in self.rules]
        return {"default": str(self.default), "rules": rules, "version": version}


def read_tool_policy(document: Mapping[str, Any]) -> ToolPolicy:
    """The policy. Raises `InvalidPolicy`, also for a rule that never decides because one before it fits all it fits."""
    policy = read_part(document, ToolPolicy)
    check_tools(policy, at="")
    return policy


def check_tools(policy: ToolPolicy, *, at: str) -> None:
    """Refuse rules that never decide. `at` is put before the field's name. Raises `InvalidPolicy`."""
    patterns = [rule.pattern.lower() for rule in policy.rules]
    for number, pattern in enumerate(patterns):
        for earlier, before in enumerate(patterns[:number]):
            if covers(before, pattern):
                field = f"{at}rules[{number}]"
                raise InvalidPolicy(
                    f"{field} never decides, because {at}rules[{earlier}] fits everything that it fits and comes"
                    " first. Remove it, or put it before that one.",
                    field=field,
                )

"""The test box of policies: what would be said of tools and kinds of action, and by which rule. Changes nothing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from budgets.scopes import read_scope_path
from budgets.selectors.tool_verdicts import tool_verdicts
from budgets.services.action_policy import ActionPolicy, Policy, read_action_policy
from budgets.services.policies import PolicyKind
from budgets.services.scope_patterns import scope_regex
from budgets.services.tool_policy import ToolPolicy, read_tool_policy
from kernel.ids import Tag
from kernel.tenancy import in_public, in_tenant
from routing.rules.tools import tool_policy_of
from routing.selectors.rule_sources import Own, plan_source, read_own


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTrial:
    """`rule` is the position of the rule that decides, None where the default does. `place` is whose policy it is."""

    tool: str
    verdict: str
    rule: int | None
    pattern: str | None
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTrial:
    """`policy` is the id of the one that refuses the kind, None where none does."""

    kind: str
    is_allowed: bool
    policy: str | None
    reason_code: str | None


def try_tools(*, tag: Tag, tools: Sequence[str], draft: Mapping[str, Any] | None = None) -> list[ToolTrial]:
    """Each tool by the policy in force, or by a draft that need not be saved. Raises `InvalidPolicy`."""
    if draft is not None:
        policy, place = read_tool_policy(draft), "this draft"
    else:
        policy, place = _in_force(tag)
    return try_tools_of(policy, tools=tools, place=place)


def try_tools_of(policy: ToolPolicy, *, tools: Sequence[str], place: str) -> list[ToolTrial]:
    """Each tool by this policy, asked of the function that decisions use. One query."""
    with in_public():
        verdicts = tool_verdicts(policy.as_rules(version=0), tools)
    return [_tool_trial(policy, tool, verdict, place) for tool, verdict in zip(tools, verdicts, strict=True)]


def try_kinds(
    *, tag: Tag, slug: str, kinds: Sequence[str], scope: str, draft: Mapping[str, Any] | None = None
) -> list[KindTrial]:
    """Each kind at a scope by the action policies in force, or by a draft. Raises `InvalidPolicy`, `InvalidScope`."""
    path = read_scope_path(scope, slug=slug).text
    if draft is None:
        with in_tenant(tag):
            own = read_own()
        saved = own.policies.get(PolicyKind.ACTIONS)
        draft = saved.document if saved else {}
    actions = read_action_policy(draft, slug=slug)
    there = list(_at(actions, path, slug))
    return [_kind_trial(there, kind) for kind in kinds]


def _in_force(tag: Tag) -> tuple[ToolPolicy, str]:
    with in_tenant(tag):
        own: Own = read_own()
    plan = plan_source(*own.plan) if own.plan else None
    policy, version = tool_policy_of(plan=plan, policies=own.policies)
    if policy is None:
        return ToolPolicy(), "no policy"
    return policy, own.policies[PolicyKind.TOOLS].place if version or plan is None else plan.place


def _tool_trial(policy: ToolPolicy, tool: str, verdict: str, place: str) -> ToolTrial:
    rule = policy.deciding_rule(tool)
    pattern = None if rule is None else policy.rules[rule].pattern
    return ToolTrial(tool=tool, verdict=verdict, rule=rule, pattern=pattern, place=place)


def _at(actions: ActionPolicy, path: str, slug: str) -> Iterator[Policy]:
    """The policies that hold there: those that fit the scope or one above it."""
    segments = path.split("/")
    paths = ["/".join(segments[:length]) for length in range(1, len(segments) + 1)]
    for policy in actions.policies:
        expression = scope_regex(policy.scope_pattern, slug=slug)
        if any(re.search(expression, each) for each in paths):
            yield policy


def _kind_trial(policies: Sequence[Policy], kind: str) -> KindTrial:
    for policy in policies:
        if not policy.permits(kind):
            is_denied = kind in policy.denied_action_kinds
            code = "ACTION_KIND_DENIED" if is_denied else "ACTION_KIND_NOT_ALLOWED"
            return KindTrial(kind=kind, is_allowed=False, policy=policy.id, reason_code=code)
    return KindTrial(kind=kind, is_allowed=True, policy=None, reason_code=None)

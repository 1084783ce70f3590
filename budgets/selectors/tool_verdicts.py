"""What decisions say of tools, asked of the function that they use themselves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from django.db import connection

#: In place of an asterisk: a sign that no tool's name has, so that only another asterisk has it.
_ANYTHING: Final = "\0"
_ASK: Final = """
    SELECT array_agg(public.tool_verdict_v1(%s::jsonb, t.name) ORDER BY t.n)
    FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, n)
"""


def tool_verdicts(rules: Mapping[str, Any], tools: Sequence[str]) -> list[str]:
    """allow, deny or gated for each tool, in order, by the `tools` of a ruleset. One query."""
    if not tools:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_ASK, [msgspec.json.encode(rules).decode(), list(tools)])
        verdicts: list[str] = cursor.fetchone()[0]
    return verdicts


def verdict_of_all(rules: Mapping[str, Any], pattern: str) -> str:
    """The verdict on every tool that `pattern` means: not allow where one of them is denied or gated. No query.

    In the order of the rules, as `tool_verdicts_v1` reads them: the first one that has all of `pattern` ends it.
    """
    wanted = pattern.lower()
    for rule in rules.get("rules") or ():
        of_rule, verdict = str(rule["pattern"]).lower(), str(rule["verdict"])
        if _share_a_name(of_rule, wanted):
            has_all = _share_a_name(of_rule, wanted.replace("*", _ANYTHING))
            if has_all or verdict != "allow":
                return verdict
    return str(rules.get("default") or "allow")


def _share_a_name(one: str, other: str) -> bool:
    """Whether a name fits both patterns, of which an asterisk means anything and nothing else is special."""
    # Of each beginning of `one`: the beginnings of `other` with which it has a name in common.
    reached = [place == 0 or other[:place].strip("*") == "" for place in range(len(other) + 1)]
    for sign in one:
        before, reached = reached, [reached[0] and sign == "*"]
        for place, its in enumerate(other, start=1):
            reached.append(
                before[place] or reached[place - 1] if "*" in (sign, its) else before[place - 1] and sign == its
            )
    return reached[-1]

"""The contract's scope patterns, as regular expressions for scope paths.

They are held against every scope of a request, from the tenant's own down to the deepest. `tenant:acme/workspace:prod`
is that scope, and so everything in it; `tenant:acme/workspace:prod/*` is each scope below it; `agent:*` is every agent,
wherever it is. A `*` stands for a segment, or for a part of its name.
"""

import re
from typing import Final

from budgets.scopes import LEVELS

_SEGMENT: Final = re.compile(r"([a-z]+):([a-z0-9_.*-]{1,128})")
_BELOW: Final = "/.+$"


class ScopeNeverMatches(Exception):
    """No scope of the tenant fits. The text ends a sentence that begins with the field's name."""


def scope_regex(pattern: str, *, slug: str) -> str:
    """The anchored expression, in what POSIX and Python understand alike. Raises `ScopeNeverMatches`."""
    # A star alone is the tenant's own scope, which every request has.
    segments = ["tenant:*"] if pattern == "*" else pattern.lower().split("/")
    is_below_only = len(segments) > 1 and segments[-1] == "*"
    if is_below_only:
        segments.pop()
    expression = f"^{re.escape(f'tenant:{slug}')}"
    if segments[0].startswith("tenant:"):
        _check_tenant(segments.pop(0), slug)
    elif segments[0] != "*":
        expression += "(/[^/]+)*"
    last_level = -1
    for segment in segments:
        expression += "/"
        if segment == "*":
            expression += "[^/]+"
            last_level += 1
            continue
        match = _SEGMENT.fullmatch(segment)
        if match is None or match[1] not in LEVELS:
            raise ScopeNeverMatches(
                f"must be made of tenant:{slug}, then level:name with the levels {', '.join(LEVELS)}, or *"
            )
        level = LEVELS.index(match[1])
        if level <= last_level:
            raise ScopeNeverMatches(f"never fits: levels come in the order {', '.join(LEVELS)}, each at most once")
        last_level = level
        expression += f"{match[1]}:{_name(match[2])}"
    if last_level >= len(LEVELS) or (is_below_only and last_level == len(LEVELS) - 1):
        raise ScopeNeverMatches(f"never fits: there are {len(LEVELS)} levels below the tenant")
    return expression + (_BELOW if is_below_only else "$")


def _check_tenant(segment: str, slug: str) -> None:
    if segment not in {f"tenant:{slug}", "tenant:*"}:
        raise ScopeNeverMatches(f"never fits: it is another tenant's, and this one is tenant:{slug}")


def _name(name: str) -> str:
    return "[^/]*".join(re.escape(part) for part in name.split("*")) if name != "*" else "[^/]+"

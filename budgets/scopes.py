"""Scope paths like `tenant:acme/workspace:prod/agent:triage`: a fixed order, levels may be skipped, lower case."""

import re
from dataclasses import dataclass
from typing import Final

#: The levels below the tenant, root first.
LEVELS: Final = ("workspace", "app", "workflow", "agent", "toolset")
NAME_RULE: Final = "1 to 128 characters out of A-Z a-z 0-9 _ . -"

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)


class InvalidScope(Exception):
    """Not a scope of this tenant. The text ends a sentence that begins with the name of the field."""


@dataclass(frozen=True, slots=True)
class ScopePath:
    """A well-formed path. `depth` is 1 for the tenant's own scope, which alone has no `parent`."""

    text: str

    @property
    def depth(self) -> int:
        return self.text.count("/") + 1

    @property
    def parent(self) -> str | None:
        return parent_of(self.text)

    def is_within(self, scopes: tuple[str, ...]) -> bool:
        """Whether it is one of `scopes` or below one; an empty tuple is everywhere."""
        return not scopes or any(self.text == scope or self.text.startswith(f"{scope}/") for scope in scopes)


def read_scope_path(text: str, *, slug: str) -> ScopePath:
    """The path in `text`, lower-cased. Raises `InvalidScope`, also for one of another tenant."""
    root, *segments = text.lower().split("/")
    if root != f"tenant:{slug}":
        raise InvalidScope(f"must begin with tenant:{slug}")
    position = 0
    for segment in segments:
        level, separator, name = segment.partition(":")
        if not separator or level not in LEVELS[position:]:
            raise InvalidScope(
                f"must name levels in the order {', '.join(LEVELS)}, each as level:name and at most once"
            )
        if not _NAME.fullmatch(name):
            raise InvalidScope(f"must give each level a name of {NAME_RULE}")
        position = LEVELS.index(level) + 1
    return ScopePath("/".join([root, *segments]))


def parent_of(scope_path: str) -> str | None:
    """The path without its last segment; None for the tenant's own."""
    return scope_path.rpartition("/")[0] or None

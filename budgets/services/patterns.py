"""Names with `*` for anything: which fit, and which pattern leaves nothing for another. Nothing else is special."""

import re


def fits(pattern: str, name: str) -> bool:
    """Whether the pattern fits the whole name."""
    return re.fullmatch(_regex(pattern), name, re.DOTALL) is not None


def fits_any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fits(pattern, name) for pattern in patterns)


def covers(pattern: str, other: str) -> bool:
    """Whether every name that fits `other` fits `pattern` too.

    A star of `other` may be anything, so only a star of `pattern` can stand for it: it is held against a character
    that no name has.
    """
    return fits(pattern, other.replace("*", "\0"))


def _regex(pattern: str) -> str:
    # Neighbouring stars say the same as one, and would make the search slow.
    return ".*".join(re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*"))

"""Reading what a provider sent: whole numbers from zero up where they should be, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from routing.pricing.usage import CALLS_MAX, TOKENS_MAX, UsageInvalid, UsageMissing

#: More parts, items or tool calls than this are no answer of a model.
ENTRIES_MAX: Final = 10_000
_NAME_LENGTH_MAX: Final = 256


def block(payload: Mapping[str, Any], *names: str, path: str = "") -> Mapping[str, Any] | None:
    """The object under the first of `names` that is there; None when none is, or when it is null."""
    for name in names:
        found = payload.get(name)
        if found is None:
            continue
        if not isinstance(found, Mapping):
            raise UsageInvalid(joined(path, name), "must be an object")
        return found
    return None


def count(payload: Mapping[str, Any] | None, *names: str, path: str = "", at_most: int = TOKENS_MAX) -> int | None:
    """The whole number under the first of `names` that is there; None when none is, or when it is null."""
    if payload is None:
        return None
    for name in names:
        found = payload.get(name)
        if found is None:
            continue
        # True is an int to Python, and 1.0 and "1" are none.
        if isinstance(found, bool) or not isinstance(found, int):
            raise UsageInvalid(joined(path, name), "must be a whole number")
        if not 0 <= found <= at_most:
            raise UsageInvalid(joined(path, name), f"must be from 0 to {at_most}")
        return found
    return None


def required(payload: Mapping[str, Any], *names: str, path: str = "") -> int:
    """As `count`, for what a payload with usage always has. Raises `UsageMissing`."""
    found = count(payload, *names, path=path)
    if found is None:
        raise UsageMissing(joined(path, names[0]))
    return found


def part(whole: int, of: int | None, *, path: str) -> int:
    """`of` as a part of `whole`, zero where it is not there. A part that is larger cannot be true."""
    if of is None:
        return 0
    if of > whole:
        raise UsageInvalid(path, "is more than the whole that it is a part of")
    return of


def entries(payload: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The objects in the list `name`; what is no list or no object holds nothing that we count."""
    found = payload.get(name)
    if not isinstance(found, list):
        return
    if len(found) > ENTRIES_MAX:
        raise UsageInvalid(name, f"must have at most {ENTRIES_MAX} entries")
    yield from (entry for entry in found if isinstance(entry, Mapping))


def text(payload: Mapping[str, Any], *names: str) -> str:
    """A name that the provider gives; empty where it gives none, or none of a sensible size."""
    for name in names:
        found = payload.get(name)
        if isinstance(found, str) and 0 < len(found) <= _NAME_LENGTH_MAX and found.isprintable():
            return found
    return ""


def calls(payload: Mapping[str, Any] | None, name: str, *, path: str) -> int:
    return count(payload, name, path=path, at_most=CALLS_MAX) or 0


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

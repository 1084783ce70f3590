"""What a probe finds of one surface."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    ISOLATED = "isolated"
    LEAKY = "leaky"
    #: It could not be seen, or nothing is there to be seen that would tell.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Surface:
    """`seen` says what was looked at, with its numbers; `offenders` name at most a few of what is wrong."""

    name: str
    verdict: Verdict
    seen: str
    offenders: tuple[str, ...] = ()


def judged(name: str, seen: str, *, leaks: list[str], riddles: list[str] | None = None) -> Surface:
    """LEAKY where anything leaks, else UNKNOWN where anything could not be told, else ISOLATED."""
    if leaks:
        return Surface(name, Verdict.LEAKY, seen, tuple(leaks[:5]))
    if riddles:
        return Surface(name, Verdict.UNKNOWN, seen, tuple(riddles[:5]))
    return Surface(name, Verdict.ISOLATED, seen)

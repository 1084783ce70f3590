"""What the program says of its traces: a span that is over. Without anybody who listens it costs one comparison."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol


class SpanKind(StrEnum):
    """Whose turn it was: a server's, that was asked, or a worker's, that took a task."""

    SERVER = "server"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One span. Ids are lower-case hex, 32 and 16 digits; empty for a new trace, or for none before it.

    Times are in nanoseconds since the epoch. `attributes` hold ids, codes and numbers, never what a caller wrote.
    """

    name: str
    kind: SpanKind
    began_unix_ns: int
    ended_unix_ns: int
    trace_id: str = ""
    parent_id: str = ""
    is_sampled: bool = True
    is_error: bool = False
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class Sink(Protocol):
    """Takes spans; safe for threads, and never fails."""

    def add(self, happened: Happened) -> None: ...


class _Listening:
    """Who listens in this process; None for nobody."""

    __slots__ = ("sink",)

    def __init__(self) -> None:
        self.sink: Sink | None = None


listening: Final = _Listening()


def unix_ns(counter_ns: int) -> int:
    """When the process's performance counter stood there."""
    return time.time_ns() - (time.perf_counter_ns() - counter_ns)

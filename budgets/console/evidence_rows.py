"""Spans as lines of a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kernel.pages.amounts import share_text
from kernel.pages.moments import duration_text
from telemetry.evidence.kinds import NoteKind, SpanKind
from telemetry.evidence.selectors.rollups import SumLine
from telemetry.evidence.selectors.spans import SpanLine

#: Deeper ones are drawn at this depth.
_DEPTH_MAX = 12


@dataclass(frozen=True, slots=True)
class SpanRow:
    """`indent` is how deep it lies in its trace; `state` and `tone` make its chip."""

    line: SpanLine
    kind: str
    took: str
    state: str
    tone: str
    indent: str = ""


@dataclass(frozen=True, slots=True)
class SumRow:
    """`failed` is a share, as in `1.5 %`."""

    line: SumLine
    kind: str
    failed: str
    p50: str
    p95: str
    p99: str


def span_row(line: SpanLine, *, indent: str = "") -> SpanRow:
    state, tone = ("Failed", "warn") if line.is_error else ("OK", "good")
    if line.leaks_from:
        state, tone = "Leak", "bad"
    return SpanRow(line, SpanKind(line.kind).label, took(line.duration_us), state, tone, indent)


def tree_rows(lines: Sequence[SpanLine]) -> Iterator[SpanRow]:
    """A trace, each span below the one that it is part of; what has no parent here stands at the top."""
    known = {line.span_id for line in lines}
    children: dict[str, list[SpanLine]] = {}
    for line in lines:
        children.setdefault(line.parent_id if line.parent_id in known else "", []).append(line)
    waiting = [(line, 0) for line in reversed(children.get("", ()))]
    drawn: set[str] = set()
    while waiting:
        line, depth = waiting.pop()
        drawn.add(line.span_id)
        yield span_row(line, indent="· " * min(depth, _DEPTH_MAX))
        waiting.extend((child, depth + 1) for child in reversed(children.get(line.span_id, ())))
    # Spans that name each other as parents have no top.
    yield from (span_row(line) for line in lines if line.span_id not in drawn)


def sum_rows(lines: Iterable[SumLine]) -> list[SumRow]:
    return [
        SumRow(
            line,
            line.kind.label,
            share_text(line.error_ppm) if line.errors else "",
            *(took(each) if each is not None else "—" for each in (line.p50_us, line.p95_us, line.p99_us)),
        )
        for line in lines
    ]


def took(microseconds: int) -> str:
    """`0.4 ms`, `250 ms`, `1.5 s`"""
    if microseconds < 1_000:
        return f"{microseconds / 1_000:.1f} ms" if microseconds else "0 ms"
    return duration_text(round(microseconds / 1_000))


NOTE_WORDS = {
    NoteKind.LEAK: "Kept: another tenant's prompt or namespace",
    NoteKind.FOREIGN: "Refused: named another tenant",
    NoteKind.MALFORMED: "Refused: could not be read",
    NoteKind.OUT_OF_TIME: "Refused: too old, or of the future",
}

"""What the spans of the schema that the connection is in come to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from kernel.sql_files import read_sql
from telemetry.evidence.kinds import NoteKind, SpanKind
from telemetry.evidence.models import EvidenceNote

#: The newest spans that a summary looks at.
SUMMED_MAX: Final = 50_000
_SUMMARY: Final = read_sql("telemetry.evidence", "span_summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindLine:
    """Spans of one kind. Durations are the 50th, 95th and 99th of a hundred, in microseconds."""

    kind: SpanKind
    spans: int
    errors: int
    leaks: int
    tokens_input: int
    tokens_output: int
    p50_us: int
    p95_us: int
    p99_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLine:
    """What was refused, or leaked, of one kind since a day. `about` is the tenant that was named, or empty."""

    kind: NoteKind
    about: str
    count: int
    last_at: datetime
    trace_id: str


def kinds_since(since: datetime) -> list[KindLine]:
    """One query along the index of times, of at most `SUMMED_MAX` spans."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMMARY, {"since": since, "at_most": SUMMED_MAX})
        return [
            KindLine(
                kind=SpanKind(kind),
                spans=spans,
                errors=errors,
                leaks=leaks,
                tokens_input=tokens_input,
                tokens_output=tokens_output,
                p50_us=durations[0],
                p95_us=durations[1],
                p99_us=durations[2],
            )
            for kind, spans, errors, leaks, tokens_input, tokens_output, durations in cursor.fetchall()
        ]


def notes_since(since: datetime, *, limit: int) -> list[NoteLine]:
    """The latest first. One query."""
    found = EvidenceNote.objects.filter(day__gte=since.date()).order_by("-last_at", "kind", "about")[:limit]
    return [
        NoteLine(
            kind=NoteKind(note.kind), about=note.about, count=note.count, last_at=note.last_at, trace_id=note.trace_id
        )
        for note in found
    ]

"""What was refused, or leaked, in the schema that the connection is in."""

from dataclasses import dataclass
from datetime import date, datetime

from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.models import EvidenceNote


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLine:
    """So many of one kind on one `day` (UTC). `about` is the tenant that was named, or empty."""

    day: date
    kind: NoteKind
    about: str
    count: int
    last_at: datetime
    trace_id: str


def notes_since(since: datetime, *, limit: int) -> list[NoteLine]:
    """The latest first. One query."""
    found = EvidenceNote.objects.filter(day__gte=since.date()).order_by("-last_at", "kind", "about")[:limit]
    return [
        NoteLine(
            day=note.day,
            kind=NoteKind(note.kind),
            about=note.about,
            count=note.count,
            last_at=note.last_at,
            trace_id=note.trace_id,
        )
        for note in found
    ]

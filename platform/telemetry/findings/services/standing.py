"""Noting in the shared schema that a tenant has sent spans, and what was wrong with them. Numbers only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from kernel.ids import Tag
from kernel.tenancy import in_public

_NOTE: Final = """
    INSERT INTO evidence_standing AS s (tag, due_at, last_span_at, leaks, last_leak_at, foreign_spans, last_foreign_at)
    VALUES (
        %(tag)s, %(due_at)s, %(now)s, %(leaks)s, CASE WHEN %(leaks)s > 0 THEN %(now)s END,
        %(foreign)s, CASE WHEN %(foreign)s > 0 THEN %(now)s END
    )
    ON CONFLICT (tag) DO UPDATE SET
        due_at = least(s.due_at, excluded.due_at),
        last_span_at = greatest(s.last_span_at, excluded.last_span_at),
        leaks = s.leaks + excluded.leaks,
        last_leak_at = greatest(s.last_leak_at, excluded.last_leak_at),
        foreign_spans = s.foreign_spans + excluded.foreign_spans,
        last_foreign_at = greatest(s.last_foreign_at, excluded.last_foreign_at)
"""


_TAKE: Final = """
    UPDATE evidence_standing AS s SET due_at = clock_timestamp() + %(lease_s)s * interval '1 second'
    FROM (
        SELECT tag FROM evidence_standing WHERE due_at <= clock_timestamp()
        ORDER BY due_at, tag LIMIT %(at_most)s FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE s.tag = due.tag
    RETURNING s.tag, s.due_at
"""
_END: Final = "UPDATE evidence_standing SET due_at = %(due_at)s WHERE tag = %(tag)s AND due_at = %(ends_at)s"
#: Longer than a visit may take.
LEASE: Final = timedelta(minutes=2)


def note_evidence(*, tag: Tag, due_at: datetime, leaks: int, foreign: int, now: datetime) -> None:
    """The tenant has sent spans; the worker has something to do from `due_at` on. One statement."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_NOTE, {"tag": tag, "due_at": due_at, "now": now, "leaks": leaks, "foreign": foreign})


@dataclass(frozen=True, slots=True)
class Visit:
    """A tenant to be visited, and the moment at which another worker may take it where this one does not come back."""

    tag: Tag
    ends_at: datetime


def take_due_evidence(*, limit: int) -> list[Visit]:
    """Tenants whose spans wait, those that waited longest first. Nobody else gets them for `LEASE`."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_TAKE, {"lease_s": LEASE.total_seconds(), "at_most": limit})
        return [Visit(Tag(tag), ends_at) for tag, ends_at in cursor.fetchall()]


def end_visit(*, tag: Tag, ends_at: datetime, due_at: datetime | None) -> None:
    """The visit is over; `due_at` is when the next one is, None where nothing waits. What came in meanwhile has set an
    earlier time, which stays.
    """
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_END, {"tag": tag, "ends_at": ends_at, "due_at": due_at})

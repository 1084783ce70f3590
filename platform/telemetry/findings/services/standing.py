"""Noting in the shared schema that a tenant has sent spans, and what was wrong with them. Numbers only."""

from datetime import datetime
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


def note_evidence(*, tag: Tag, due_at: datetime, leaks: int, foreign: int, now: datetime) -> None:
    """The tenant has sent spans; the worker has something to do from `due_at` on. One statement."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_NOTE, {"tag": tag, "due_at": due_at, "now": now, "leaks": leaks, "foreign": foreign})

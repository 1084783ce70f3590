"""Reading events upwards by their numbers while others write: not past a number that may still come.

An event has its number before its transaction commits. What is there is there for good, so all that can come in behind
a reader are the numbers that are missing. A missing number comes no more when all transactions have ended that were in
progress after it was given: whoever writes an event has begun, in the database's count, before it takes a number.

Marks between rows, as `settled.between` has them, do not do: an event is written once more when it is handed out.
"""

from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import Min

from telemetry.models import OutboxEvent
from telemetry.selectors.settled import MarkFromElsewhere, written_below

#: So many numbers are looked through at once for one that is missing.
STEP: Final = 10_000

# Of one snapshot. Its xmax is not the next number of a transaction: some above it may be in progress.
_LOOK: Final = """
    SELECT coalesce((SELECT max(seq) FROM outbox_event), 0), pg_snapshot_xmin(s)::text::bigint,
        pg_snapshot_xmax(s)::text::bigint + age(pg_snapshot_xmax(s)::xid)
    FROM pg_current_snapshot() AS s
"""
_RUN: Final = """
    SELECT coalesce(max(seq) FILTER (WHERE seq = %(after)s + place), %(after)s)
    FROM (
        SELECT seq, row_number() OVER (ORDER BY seq) AS place
        FROM (SELECT seq FROM outbox_event WHERE seq > %(after)s ORDER BY seq LIMIT %(step)s) AS near
    ) AS numbered
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Every event up to the number `until` is there or never will be.

    The same becomes true up to `given` when all transactions below `begun` have ended. Those below `ended` had.
    """

    until: int
    given: int
    begun: int
    ended: int


def reach_now(*, before: Reach | None) -> tuple[Reach, bool]:
    """How far events can be read in the schema that the connection is in; whether it may be farther already.

    `before` is what the same reader had. Two queries, four the first time. Raises `MarkFromElsewhere` where `before` is
    not of this database's past.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOOK)
        given, ended, begun = cursor.fetchone()
    if before is not None and before.ended > ended:
        raise MarkFromElsewhere
    until = _until(before, ended)
    if begun <= ended:
        until = max(until, given)
    with connection.cursor() as cursor:
        cursor.execute(_RUN, {"after": until, "step": STEP})
        (last,) = cursor.fetchone()
    if before is not None and before.begun > ended and before.given > last:
        # What is waited for stays: who sets it anew at each look never sees the end of it.
        given, begun = before.given, before.begun
    return Reach(until=last, given=given, begun=begun, ended=ended), last == until + STEP


def _until(before: Reach | None, ended: int) -> int:
    if before is None:
        return _handed_out(ended)
    return max(before.until, before.given) if before.begun <= ended else before.until


def _handed_out(ended: int) -> int:
    """The last number below the first waiting one of which we know without having looked before that nothing below it
    comes any more: it was handed out by a transaction before `ended`, which began after the number was there."""
    waiting = OutboxEvent.objects.filter(delivered_at=None).aggregate(first=Min("seq"))["first"]
    found = OutboxEvent.objects.exclude(delivered_at=None).filter(written_below(ended))
    if waiting is not None:
        found = found.filter(seq__lt=waiting)
    return found.order_by("-seq").values_list("seq", flat=True).first() or 0

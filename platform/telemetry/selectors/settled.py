"""Reading a log that others write to meanwhile: by transactions that have ended, so that nothing comes in behind.

A row has its time and its id before its transaction commits. So whoever goes on behind the last row that it saw passes
by those that commit later. A reader here sees what transactions before a mark wrote, all of which have ended by then,
and the next time what those since the mark wrote: every row once, and none is passed by.

A row's transaction is told by 32 bits of its number. That is enough for rows that were made near the mark's time; those
made long before it or long after it are told by their ids, whose first bits are the time.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import BigIntegerField, Func, Model, Q, QuerySet
from django.db.models.lookups import GreaterThanOrEqual

#: No two clocks are so far apart, and no transaction takes so long before anybody looks. Nor are two thousand million
#: begun in that time.
_NEAR: Final = timedelta(hours=1)
_NEAR_MS: Final = _NEAR // timedelta(milliseconds=1)
_MS_MAX: Final = 2**48 - 1
_NOW: Final = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
"""
#: The number of the transaction that wrote a row, without its higher half. Of the one table that is asked.
_XID: Final = Func(template='"xmin"::text::bigint', output_field=BigIntegerField())


class MarkFromElsewhere(Exception):
    """Fewer transactions have ended than had by then: the database was put back since to what it was before."""


@dataclass(frozen=True, slots=True)
class Mark:
    """All transactions with numbers below `xid` have ended; it was set at `ms`, milliseconds since the epoch."""

    xid: int
    ms: int


def mark_now(*, since: Mark | None = None) -> Mark:
    """One as late as can be, and not before `since`. One query. Raises `MarkFromElsewhere` where `since` is not of this
    database's past."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW)
        ended, ms = cursor.fetchone()
    if since is None:
        return Mark(xid=ended, ms=ms)
    if since.xid > ended:
        raise MarkFromElsewhere
    # While the same transaction is the oldest, its rows stay near the mark, however long it takes.
    return since if since.xid == ended else Mark(xid=ended, ms=max(ms, since.ms))


def between[M: Model](rows: QuerySet[M], *, after: Mark | None, until: Mark) -> QuerySet[M]:
    """Those of transactions from `after` on (from the beginning, without) and before `until`. Their keys are UUIDs of
    version 7."""
    found = rows.filter(_before(until))
    if after is not None:
        # Said once more in a form that goes along the index.
        found = found.filter(~_before(after), pk__gte=_first_id(after.ms - _NEAR_MS))
    return found


def _before(mark: Mark) -> Q:
    is_near = Q(pk__lt=_first_id(mark.ms + _NEAR_MS))
    return Q(pk__lt=_first_id(mark.ms - _NEAR_MS)) | (is_near & written_below(mark.xid))


def written_below(xid: int) -> Q:
    """Rows that were last written by a transaction with a lower number, if that was no more than 2**31 lower."""
    return Q(GreaterThanOrEqual((_XID - xid).bitand(2**32 - 1), 2**31))


def _first_id(ms: int) -> UUID:
    """Below every id that is made in this millisecond or later."""
    return UUID(int=min(max(ms, 0), _MS_MAX) << 80)

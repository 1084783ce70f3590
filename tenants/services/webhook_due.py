"""Keeping the list of tenants whose events wait, in the shared schema."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from kernel.ids import PLATFORM_TAG, Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_public

#: When a visit that was asked for and never ended is asked for again. Longer than any visit takes.
RETRY_AFTER_S: Final = 60

# The time that is put here is the visit's mark: whoever has something to be done meanwhile puts an earlier one.
_BEGIN: Final = """
    UPDATE webhook_due SET due_at = clock_timestamp() + %(retry_after_s)s * interval '1 second'
    WHERE tag = %(tag)s
    RETURNING pg_stat_get_tuples_inserted(outbox_table::oid), due_at, clock_timestamp()
"""
# LEAST passes NULL by.
_FINISH: Final = """
    UPDATE webhook_due
    SET asked_at = NULL, visited_at = %(began_at)s, inserts_seen = coalesce(%(inserts)s, inserts_seen),
        due_at = CASE WHEN due_at = %(mark)s THEN %(due_at)s ELSE least(due_at, %(due_at)s) END,
        oldest_at = %(oldest_at)s
    WHERE tag = %(tag)s
"""
_LOWER: Final = """
    UPDATE webhook_due SET due_at = least(due_at, %(at)s) WHERE tag = %(tag)s AND (due_at IS NULL OR due_at > %(at)s)
"""
_FORGET_STRANGERS: Final = """
    DELETE FROM webhook_due AS w
    WHERE w.tag <> %s AND NOT EXISTS (SELECT FROM tenant AS t WHERE t.schema_name = 't_' || w.tag)
"""
#: A table of the same name may have been made anew, as by a restore: then it has another oid and a count of its own.
_FIND_TABLES: Final = """
    UPDATE webhook_due AS w SET outbox_table = f.outbox_table, inserts_seen = -1
    FROM (SELECT tag, to_regclass('t_' || tag || '.outbox_event')::oid::bigint AS outbox_table FROM webhook_due) AS f
    WHERE f.tag = w.tag AND f.outbox_table IS NOT NULL AND f.outbox_table <> w.outbox_table
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is known before a visit: how many rows were ever inserted, and by which time it can tell its own line."""

    inserts: int
    mark: datetime
    began_at: datetime


def enrol() -> int:
    """Give every tenant with books, and the platform, a line of its own; how many had none. Safe to repeat."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "enrol_webhooks"), {"platform": PLATFORM_TAG})
        return int(cursor.rowcount)


def ask_for_visits(*, limit: int) -> list[Tag]:
    """Tenants to be visited, and the platform under its own tag; each at most once in `RETRY_AFTER_S`."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "ask_for_deliveries"), {"retry_after_s": RETRY_AFTER_S, "at_most": limit})
        return [Tag(tag) for (tag,) in cursor.fetchall()]


def begin_visit(*, tag: Tag) -> Visit | None:
    """To be called before a visit reads anything: what comes in meanwhile is for the next one. None without a line."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_BEGIN, {"tag": tag, "retry_after_s": RETRY_AFTER_S})
        row = cursor.fetchone()
    if row is None:
        return None
    inserts, mark, began_at = row
    # NULL where the table is gone.
    return Visit(inserts=-1 if inserts is None else inserts, mark=mark, began_at=began_at)


def finish_visit(
    *, tag: Tag, visit: Visit | None, is_all: bool, due_at: datetime | None, oldest_at: datetime | None
) -> None:
    """Say what the visit has found; not `is_all` where there is more to be handed out.

    `oldest_at` is when the oldest event was written that nobody was told of yet, None where none waits.
    Whatever became due meanwhile stays due.
    """
    if visit is None:
        return
    parameters = {
        "tag": tag,
        "inserts": visit.inserts if is_all else None,
        "mark": visit.mark,
        "began_at": visit.began_at,
        "due_at": due_at,
        "oldest_at": oldest_at,
    }
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FINISH, parameters)


def lower_due(*, tag: Tag, at: datetime) -> None:
    """Have it visited no later than then."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_LOWER, {"tag": tag, "at": at})


def forget_strangers() -> None:
    """Drop the lines of tenants that are no longer in the directory, and find tables that were made anew."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FORGET_STRANGERS, [PLATFORM_TAG])
        cursor.execute(_FIND_TABLES)

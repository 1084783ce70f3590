"""Keeping the list of tenants whose events wait, in the shared schema."""

from datetime import datetime
from typing import Final

from django.db import connection

from kernel.ids import PLATFORM_TAG, Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_public

#: When a visit that was asked for and never ended is asked for again. Longer than any visit takes.
RETRY_AFTER_S: Final = 60

_READ_INSERTS: Final = "SELECT pg_stat_get_tuples_inserted(outbox_table::oid) FROM webhook_due WHERE tag = %s"
_FINISH: Final = """
    UPDATE webhook_due SET asked_at = NULL, inserts_seen = coalesce(%(inserts)s, inserts_seen), due_at = %(due_at)s
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


def read_inserts(*, tag: Tag) -> int | None:
    """To be called before a visit reads anything: what comes in meanwhile is for the next one."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_READ_INSERTS, [tag])
        row = cursor.fetchone()
        return None if row is None else int(row[0])


def finish_visit(*, tag: Tag, inserts: int | None, due_at: datetime | None) -> None:
    """Say what the visit has found; `inserts` None where there is more to be handed out."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FINISH, {"tag": tag, "inserts": inserts, "due_at": due_at})


def lower_due(*, tag: Tag, at: datetime) -> None:
    """Have it visited no later than then."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_LOWER, {"tag": tag, "at": at})


def forget_strangers() -> None:
    """Drop the lines of tenants that are no longer in the directory, and find tables that were made anew."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FORGET_STRANGERS, [PLATFORM_TAG])
        cursor.execute(_FIND_TABLES)

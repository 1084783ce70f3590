"""Which tenants' old rows are looked for, and when: each once a day, whether anything happens there or not."""

from datetime import timedelta
from typing import Final

from django.db import connection

from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public

#: A visit that was asked for and never ended is asked for again.
RETRY_AFTER_S: Final = 900
#: After all was done, and where something could not be.
AGAIN_AFTER: Final = timedelta(days=1)
AGAIN_AFTER_TROUBLE: Final = timedelta(hours=1)

# Closed tenants too: their books grow old as well.
_ENROL: Final = """
    INSERT INTO keeping_visit (tag, dropped, trouble)
    SELECT tag, 0, '' FROM (
        SELECT substr(t.schema_name, 3) AS tag FROM tenant AS t
        WHERE t.status <> 'PROVISIONING' AND to_regclass(t.schema_name || '.archive_file') IS NOT NULL
        UNION ALL
        SELECT %(platform)s
    ) AS known
    WHERE NOT EXISTS (SELECT FROM keeping_visit AS v WHERE v.tag = known.tag)
    ON CONFLICT DO NOTHING
"""
_ASK: Final = """
    UPDATE keeping_visit AS v SET asked_at = clock_timestamp()
    FROM (
        SELECT tag FROM keeping_visit
        WHERE (due_at IS NULL OR due_at <= clock_timestamp())
            AND (asked_at IS NULL OR asked_at < clock_timestamp() - %(retry_after_s)s * interval '1 second')
        ORDER BY due_at NULLS FIRST, tag
        LIMIT %(at_most)s
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE v.tag = due.tag
    RETURNING v.tag
"""
_NOTE: Final = """
    UPDATE keeping_visit
    SET asked_at = NULL, visited_at = clock_timestamp(),
        due_at = clock_timestamp() + %(again_after_s)s * interval '1 second',
        dropped = %(dropped)s, trouble = %(trouble)s
    WHERE tag = %(tag)s
"""
_FORGET_STRANGERS: Final = """
    DELETE FROM keeping_visit AS v
    WHERE v.tag <> %s AND NOT EXISTS (SELECT FROM tenant AS t WHERE t.schema_name = 't_' || v.tag)
"""


def enrol() -> int:
    """Give every tenant with books, and the platform, a line of its own; how many had none. Safe to repeat."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_ENROL, {"platform": PLATFORM_TAG})
        return int(cursor.rowcount)


def ask_for_visits(*, limit: int) -> list[Tag]:
    """Tenants whose old rows were not looked for since a day, and the platform; each once in `RETRY_AFTER_S`."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_ASK, {"retry_after_s": RETRY_AFTER_S, "at_most": limit})
        return [Tag(tag) for (tag,) in cursor.fetchall()]


def note_visit(*, tag: Tag, dropped: int, trouble: str, is_done: bool) -> None:
    """The visit has ended; where it was not done the tenant is due again at once."""
    again_after = AGAIN_AFTER if is_done else timedelta(0)
    if trouble:
        again_after = AGAIN_AFTER_TROUBLE
    with in_public(), connection.cursor() as cursor:
        parameters: dict[str, str | float] = {"tag": tag, "dropped": dropped, "trouble": trouble}
        parameters["again_after_s"] = again_after.total_seconds()
        cursor.execute(_NOTE, parameters)


def forget_strangers() -> None:
    """Drop the lines of tenants that are no longer in the directory."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FORGET_STRANGERS, [PLATFORM_TAG])

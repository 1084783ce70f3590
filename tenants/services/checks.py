"""Which tenants' books are to be checked, and by which seal. Each tenant once a night, whoever asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from django.db import connection

from kernel.ids import Tag
from kernel.tenancy import in_public
from tenants.check_hours import CHECK_HOURS
from tenants.models import LedgerCheck

#: A check that was asked for and never ended is asked for again.
RETRY_AFTER_S: Final = 3600
#: Less than a day, so that a night may begin a little earlier than the one before.
AGAIN_AFTER_S: Final = 20 * 3600
_LOCK: Final = 0x6C65_6467_6572

_ENROL: Final = """
    INSERT INTO ledger_check (tag, sealed_seq, seal_hash)
    SELECT s.tag, 0, '' FROM tenant_standing AS s
    WHERE NOT EXISTS (SELECT FROM ledger_check AS c WHERE c.tag = s.tag)
    ON CONFLICT DO NOTHING
"""
_ASK: Final = """
    UPDATE ledger_check AS c SET asked_at = clock_timestamp()
    FROM (
        SELECT tag FROM ledger_check
        WHERE (checked_at IS NULL OR checked_at < clock_timestamp() - %(again_after_s)s * interval '1 second')
            AND (asked_at IS NULL OR asked_at < clock_timestamp() - %(retry_after_s)s * interval '1 second')
        ORDER BY checked_at NULLS FIRST, tag
        LIMIT %(at_most)s
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE c.tag = due.tag
    RETURNING c.tag
"""
_FORGET_STRANGERS: Final = """
    DELETE FROM ledger_check AS c WHERE NOT EXISTS (SELECT FROM tenant AS t WHERE t.schema_name = 't_' || c.tag)
"""


def may_begin(*, now: datetime) -> bool:
    """Whether it is night. Whose turn did not come is the first one of the next."""
    return now.astimezone(UTC).hour in CHECK_HOURS


def ask_for_checks(*, limit: int) -> list[Tag]:
    """Tenants whose last check is a day old, those without any first; each at most once in `RETRY_AFTER_S`."""
    parameters = {"again_after_s": AGAIN_AFTER_S, "retry_after_s": RETRY_AFTER_S, "at_most": limit}
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_ENROL)
        cursor.execute(_ASK, parameters)
        return [Tag(tag) for (tag,) in cursor.fetchall()]


@contextmanager
def alone(*, tag: Tag) -> Iterator[bool]:
    """Whether this check, and no other in the installation, may go on during the block; else it is due again at once.

    A big tenant's takes most of an hour, and expiry and rollups wait for the same processes.
    """
    with connection.cursor() as cursor:
        # It goes with the connection, so that a check that was killed stops nobody.
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (is_alone,) = cursor.fetchone()
    if not is_alone:
        with in_public():
            LedgerCheck.objects.filter(tag=tag).update(asked_at=None)
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def note_check(*, tag: Tag, at: datetime, sealed_seq: int, seal_hash: str) -> None:
    """The tenant was checked at `at`; by which seal the next check goes."""
    with in_public():
        LedgerCheck.objects.update_or_create(
            tag=tag, defaults={"checked_at": at, "sealed_seq": sealed_seq, "seal_hash": seal_hash}
        )


def last_check(*, tag: Tag) -> LedgerCheck | None:
    """None where the tenant was never checked."""
    with in_public():
        return LedgerCheck.objects.filter(tag=tag, checked_at__isnull=False).first()


def forget_strangers() -> None:
    """Drop the notes of tenants that are no longer in the directory."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FORGET_STRANGERS)

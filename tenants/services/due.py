"""Keeping the list of tenants that have something to expire.

Whoever makes a reservation lowers the tenant's time. Whoever visits the tenant claims its line, works, and then says
when it is due next; a note that came in between takes the claim away, so that no visit can overwrite what it did not
see. A visit that never ends leaves a line that is due again after a while.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from kernel.ids import Tag
from kernel.tenancy import in_public

#: When a visit that was begun and never finished is tried again. Longer than any visit may take.
RETRY_AFTER_S: Final = 60

# In the order of tags: two processes that note the same tenants must not wait for each other in a circle.
_LOWER: Final = """
    INSERT INTO tenant_due (tag, due_at)
    SELECT tag, due_at FROM unnest(%s::text[], %s::timestamptz[]) AS noted (tag, due_at) ORDER BY tag
    ON CONFLICT (tag) DO UPDATE SET due_at = least(tenant_due.due_at, excluded.due_at), claim = NULL
    WHERE tenant_due.due_at > excluded.due_at OR tenant_due.claim IS NOT NULL
"""
_TAKE: Final = """
    UPDATE tenant_due SET due_at = clock_timestamp() + make_interval(secs => %s)
    FROM (
        SELECT tag FROM tenant_due WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE tenant_due.tag = due.tag
    RETURNING tenant_due.tag
"""
_TAKE_AGAIN: Final = """
    UPDATE tenant_due SET due_at = clock_timestamp() + make_interval(secs => %s)
    WHERE tag = %s AND due_at <= clock_timestamp()
"""
_CLAIM: Final = """
    INSERT INTO tenant_due (tag, due_at, claim) VALUES (%s, clock_timestamp() + make_interval(secs => %s), %s)
    ON CONFLICT (tag) DO UPDATE SET due_at = excluded.due_at, claim = excluded.claim
"""
_FORGET_STRANGERS: Final = """
    DELETE FROM tenant_due AS d WHERE NOT EXISTS (SELECT FROM tenant AS t WHERE t.schema_name = 't_' || d.tag)
"""


def lower_due(due_at: Mapping[Tag, datetime]) -> None:
    """Have these tenants visited no later than at these times. To be called after the reservation is committed."""
    if not due_at:
        return
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_LOWER, [list(due_at.keys()), list(due_at.values())])


def take_due(*, limit: int) -> list[Tag]:
    """Tenants that are due by the database's clock, the longest waiting first; each once in `RETRY_AFTER_S`."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_TAKE, [RETRY_AFTER_S, limit])
        return [Tag(tag) for (tag,) in cursor.fetchall()]


def take_again(*, tag: Tag) -> bool:
    """Take the tenant once more where it is still due; False where nothing is, or where somebody else took it."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_TAKE_AGAIN, [RETRY_AFTER_S, tag])
        return bool(cursor.rowcount)


def claim_visit(*, tag: Tag, visit: UUID) -> None:
    """Announce the visit, before anything of the tenant's is read."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, [tag, RETRY_AFTER_S, visit])


def finish_visit(*, tag: Tag, visit: UUID, next_due_at: datetime | None) -> None:
    """Say what the visit has found: when the tenant is due next, or None for never.

    Where a note or another visit came in between, their line stays and is lowered at most.
    """
    with in_public(), connection.cursor() as cursor:
        if next_due_at is None:
            cursor.execute("DELETE FROM tenant_due WHERE tag = %s AND claim = %s", [tag, visit])
            return
        cursor.execute(
            "UPDATE tenant_due SET due_at = %s, claim = NULL WHERE tag = %s AND claim = %s", [next_due_at, tag, visit]
        )
        if cursor.rowcount:
            return
    lower_due({tag: next_due_at})


def forget_strangers() -> None:
    """Drop the lines of tenants that are no longer in the directory."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FORGET_STRANGERS)

"""Old rows of the audit trail: archived, then dropped, in the schema that the connection is in.

The trail itself says that it was cut, and which file has what was there before.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final

from django.db import connection

from kernel.actor import Actor
from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive
from telemetry.services import audit
from telemetry.services.archiving import by_function, drop_old, write_archive

PAGE: Final = 1_000
FILE_ROWS: Final = 50_000
#: Younger rows stay, whatever the installation says. The function that drops them says so too.
KEPT_MIN: Final = timedelta(days=90)

_OLD: Final = """
    SELECT id, at, to_jsonb(e)::text FROM audit_entry AS e
    WHERE at < %(before)s AND (at, id) > (%(at)s, %(id)s)
    ORDER BY at, id
    LIMIT %(page)s
"""
_drop: Final = by_function("SELECT drop_audit_v1(%(file)s, %(keys)s::uuid[])")
_BEGINNING: Final = ("-infinity", "00000000-0000-0000-0000-000000000000")
_WORKER: Final = Actor(name="retention", actor_type="scheduler", reason="Older than the installation keeps the trail")


def drop_trail(*, owner: str, before: datetime, now: datetime, has_time: Callable[[], bool]) -> tuple[int, bool]:
    """Archive and drop what is from before `before`; how many rows, and whether that was all.

    To be called `alone`. Safe to repeat and to be killed. Raises what `write_archive` and `drop_old` raise.
    """
    before = min(before, now - KEPT_MIN)
    return drop_old(
        ArchiveKind.AUDIT,
        owner=owner,
        archive=partial(_archive, owner, before, now),
        key_of=itemgetter("id"),
        drop=_drop,
        has_time=has_time,
        before=before,
    )


def _archive(owner: str, before: datetime, now: datetime) -> Archive | None:
    def say_so(file: Archive) -> None:
        after = {"rows": file.rows, "before": before.isoformat(), "sha256": file.digest.hex()}
        audit.record(actor=_WORKER, action="audit.archived", target=file.name, at=now, after=after)

    return write_archive(kind=ArchiveKind.AUDIT, owner=owner, pages=_pages(before), until_at=before, beside=say_so)


def _pages(before: datetime) -> Iterator[list[str]]:
    at: Any
    at, row_id = _BEGINNING
    left = FILE_ROWS
    while left > 0:
        size = min(PAGE, left)
        with connection.cursor() as cursor:
            cursor.execute(_OLD, {"before": before, "at": at, "id": row_id, "page": size})
            rows = cursor.fetchall()
        if rows:
            yield [text for _, _, text in rows]
            row_id, at, _ = rows[-1]
        left -= len(rows)
        if len(rows) < size:
            return

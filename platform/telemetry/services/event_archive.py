"""Old events of the outbox: archived, then dropped, in the schema that the connection is in."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Final

from django.db import connection

from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive
from telemetry.services.archiving import by_function, drop_old, write_archive

PAGE: Final = 2_000
FILE_ROWS: Final = 100_000
#: Until then a receiver may still ask for an event again. The function that drops them says so too.
KEPT_MIN: Final = timedelta(days=30)

# Events are numbered as they are written: the oldest have the least numbers.
_OLD: Final = """
    SELECT seq, at < %(before)s AND delivered_at IS NOT NULL, to_jsonb(o)::text FROM outbox_event AS o
    WHERE seq > %(after)s
    ORDER BY seq
    LIMIT %(page)s
"""
_drop: Final = by_function("SELECT drop_events_v1(%(file)s, %(keys)s::bigint[])")


def drop_events(*, owner: str, before: datetime, now: datetime, has_time: Callable[[], bool]) -> tuple[int, bool]:
    """Archive and drop what was handed out and is from before `before`; how many, and whether that was all.

    To be called `alone`. Safe to repeat and to be killed. Raises what `write_archive` and `drop_old` raise.
    """
    before = min(before, now - KEPT_MIN)
    return drop_old(
        ArchiveKind.EVENTS,
        owner=owner,
        archive=partial(_archive, owner, before),
        key_of=itemgetter("seq"),
        drop=_drop,
        has_time=has_time,
        before=before,
    )


def _archive(owner: str, before: datetime) -> Archive | None:
    return write_archive(kind=ArchiveKind.EVENTS, owner=owner, pages=_pages(before), until_at=before)


def _pages(before: datetime) -> Iterator[list[str]]:
    """Up to the first event that is not old enough, or that nobody handed out."""
    after, left = 0, FILE_ROWS
    while left > 0:
        size = min(PAGE, left)
        with connection.cursor() as cursor:
            cursor.execute(_OLD, {"after": after, "before": before, "page": size})
            rows = cursor.fetchall()
        old: list[str] = []
        for seq, is_old, text in rows:
            if not is_old:
                break
            old.append(text)
            after = seq
        if old:
            yield old
        left -= len(old)
        if len(old) < size:
            return

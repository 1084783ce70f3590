"""Dropping old decisions that had no effect: refusals, `decide` and dry runs. What moved an amount stays.

Everything is written to a file first, and with the row that makes the file known the rollups are told from when on they
can be made again. Killed anywhere, the next visit goes on with the same file.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final

from django.db import connection
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from budgets.models import RollupMark
from budgets.models.rollups import BUCKET
from kernel.ids import Tag
from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive
from telemetry.services.archiving import by_function, drop_old, write_archive

#: Rows of one statement, and of one file.
PAGE: Final = 2_000
FILE_ROWS: Final = 100_000
#: Younger decisions may still be asked for by their key. The function that drops them says so too.
KEPT_MIN: Final = timedelta(days=30)

# Two kinds, each found by an index of its own.
_DENIED: Final = """
    SELECT id, at, to_jsonb(d)::text FROM decision AS d
    WHERE ledger_seq IS NULL AND verdict = 'DENY' AND at < %(before)s AND (at, id) > (%(at)s, %(id)s)
    ORDER BY at, id
    LIMIT %(page)s
"""
_OTHERS: Final = """
    SELECT id, at, to_jsonb(d)::text FROM decision AS d
    WHERE ledger_seq IS NULL AND NOT verdict = 'DENY' AND at < %(before)s AND (at, id) > (%(at)s, %(id)s)
    ORDER BY at, id
    LIMIT %(page)s
"""
#: Whether something from before `before` is not in the rollups yet.
_WAITS: Final = """
    SELECT EXISTS (SELECT FROM ledger_entry WHERE seq = %(seq)s + 1 AND at < %(before)s)
        OR EXISTS (
            SELECT FROM decision
            WHERE verdict = 'DENY' AND at > coalesce(%(followed)s, '-infinity'::timestamptz) AND at < %(before)s
        )
        OR EXISTS (
            SELECT FROM decision
            WHERE ledger_seq IS NULL AND NOT verdict = 'DENY'
                AND at > coalesce(%(followed)s, '-infinity'::timestamptz) AND at < %(before)s
        )
"""
_drop: Final = by_function("SELECT drop_decisions_v1(%(file)s, %(keys)s::uuid[])")
_BEGINNING: Final = ("-infinity", "00000000-0000-0000-0000-000000000000")


class TooYoung(Exception):
    """Decisions are kept for `KEPT_MIN` at least."""


class NotFollowedYet(Exception):
    """The rollups have not counted all of them."""


def drop_decisions(*, tag: Tag, before: datetime, now: datetime, has_time: Callable[[], bool]) -> tuple[int, bool]:
    """Archive and drop the decisions without effect from before `before`; how many, and whether that was all.

    In the tenant's schema, `alone`. Safe to repeat and to be killed. Raises `TooYoung` or `NotFollowedYet` before
    anything is dropped; and what `write_archive` and `drop_old` raise.
    """
    if before > now - KEPT_MIN:
        raise TooYoung
    return drop_old(
        ArchiveKind.DECISIONS,
        owner=tag,
        archive=partial(_archive, tag, _bucket_of(before)),
        key_of=itemgetter("id"),
        drop=_drop,
        has_time=has_time,
        before=before,
    )


def _archive(tag: Tag, cut: datetime) -> Archive | None:
    mark = RollupMark.objects.filter(pk=1).first()
    if mark is None or _waits(mark, cut):
        raise NotFollowedYet
    return write_archive(
        kind=ArchiveKind.DECISIONS,
        owner=tag,
        pages=_pages(cut),
        until_at=cut,
        # Once some are gone, sums of that time cannot be made again.
        beside=lambda _: _keep_sums_before(cut),
    )


def _keep_sums_before(cut: datetime) -> None:
    kept_since = Greatest(Coalesce(F("decisions_kept_since"), cut), cut)
    RollupMark.objects.filter(pk=1).update(decisions_kept_since=kept_since)


def _waits(mark: RollupMark, cut: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, {"seq": mark.ledger_seq, "followed": mark.decisions_at, "before": cut})
        return bool(cursor.fetchone()[0])


def _pages(cut: datetime) -> Iterator[list[str]]:
    """Nothing new is ever as old as that: times never fall."""
    left = FILE_ROWS
    for statement in (_DENIED, _OTHERS):
        at, row_id = _BEGINNING
        while left > 0:
            parameters: dict[str, Any] = {"before": cut, "at": at, "id": row_id, "page": min(PAGE, left)}
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                page: list[tuple[Any, ...]] = cursor.fetchall()
            if not page:
                break
            yield [text for _, _, text in page]
            left -= len(page)
            row_id, at, _ = page[-1]


def _bucket_of(at: datetime) -> datetime:
    """Where its quarter of an hour begins: rollups are kept by whole ones."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(BUCKET.total_seconds()), tz=at.tzinfo)

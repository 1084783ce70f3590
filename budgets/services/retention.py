"""Dropping old decisions that had no effect: refusals, `decide` and dry runs. What moved an amount stays.

Everything is written to a file first, and with the row that makes the file known the rollups are told from when on they
can be made again. Killed anywhere, the next visit goes on with the same file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import connection
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from budgets.models import RollupMark
from budgets.models.rollups import BUCKET
from kernel.ids import Tag
from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive, unfinished
from telemetry.services.archiving import drop_archived, write_archive

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
_DROP: Final = "SELECT drop_decisions_v1(%(file)s, %(keys)s::uuid[])"
_BEGINNING: Final = ("-infinity", "00000000-0000-0000-0000-000000000000")


class TooYoung(Exception):
    """Decisions are kept for `KEPT_MIN` at least."""


class NotFollowedYet(Exception):
    """The rollups have not counted all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many rows went, and whether that was all; and the last file they are in, None where there were none."""

    rows: int
    is_done: bool
    file: Archive | None


def drop_decisions(*, tag: Tag, before: datetime, now: datetime, has_time: Callable[[], bool]) -> Dropped:
    """Archive the decisions without effect from before `before`, a file at a time, and drop them.

    In the tenant's schema, `alone`. Safe to repeat and to be killed. Raises `TooYoung` or `NotFollowedYet` before
    anything is dropped; and what `write_archive` and `drop_archived` raise.
    """
    if before > now - KEPT_MIN:
        raise TooYoung
    dropped, last = 0, None
    while True:
        file = unfinished(ArchiveKind.DECISIONS) or _archive(tag, _bucket_of(before))
        if file is None:
            return Dropped(rows=dropped, is_done=True, file=last)
        rows, is_done = drop_archived(file, owner=tag, key_of=_id_of, drop=partial(_drop, file.name), has_time=has_time)
        dropped, last = dropped + rows, file
        if not is_done or not has_time():
            return Dropped(rows=dropped, is_done=False, file=last)


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


def _drop(file: str, keys: list[str]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_DROP, {"file": file, "keys": keys})
        return int(cursor.fetchone()[0])


def _id_of(row: Mapping[str, Any]) -> str:
    return str(row["id"])


def _bucket_of(at: datetime) -> datetime:
    """Where its quarter of an hour begins: rollups are kept by whole ones."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(BUCKET.total_seconds()), tz=at.tzinfo)

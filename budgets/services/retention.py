"""Dropping old decisions that had no effect: refusals, `decide` and dry runs. What moved an amount stays.

First everything is written to a file and the file is read again; then the rollups are told from when on they can be
made again; only then rows go, a range at a time. Killed anywhere, the next run exports and drops the rest.
"""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import connection, transaction

from budgets.models import RollupMark
from budgets.models.rollups import BUCKET
from kernel.ids import Tag
from kernel.tenancy import in_tenant

#: Rows of one statement.
PAGE: Final = 2_000
#: Younger decisions may still be asked for by their key.
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
_DROP: Final = "DELETE FROM decision WHERE id = ANY (%s) AND ledger_seq IS NULL"
_BEGINNING: Final = ("-infinity", "00000000-0000-0000-0000-000000000000")


class TooYoung(Exception):
    """Decisions are kept for `KEPT_MIN` at least."""


class NotFollowedYet(Exception):
    """The rollups have not counted all of them."""


class ExportDiffers(Exception):
    """What was read again from the file is not what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many decisions went, all from before `before`; they are in `path`, None where there were none."""

    decisions: int
    before: datetime
    path: Path | None


def drop_decisions(*, tag: Tag, slug: str, before: datetime, now: datetime, folder: Path) -> Dropped:
    """Export the decisions without effect from before `before` into `folder`, then drop them.

    To be called as the owner: no process may delete a decision. Safe to repeat and to be killed. Raises `TooYoung`,
    `NotFollowedYet`, `ExportDiffers`, each before anything is dropped.
    """
    if before > now - KEPT_MIN:
        raise TooYoung
    with in_tenant(tag):
        cut = _bucket_of(before)
        mark = RollupMark.objects.filter(pk=1).first()
        if mark is None or _waits(mark, cut):
            raise NotFollowedYet
        path = folder / f"{slug}-decisions-before-{cut:%Y%m%dT%H%M}-at-{now:%Y%m%dT%H%M%S%f}.jsonl.gz"
        written = _export(cut, path)
        if not written:
            path.unlink()
            return Dropped(decisions=0, before=cut, path=None)
        kept_since = max(cut, mark.decisions_kept_since or cut)
        RollupMark.objects.filter(pk=1).update(decisions_kept_since=kept_since)
        return Dropped(decisions=_drop(cut), before=cut, path=path)


def _waits(mark: RollupMark, cut: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, {"seq": mark.ledger_seq, "followed": mark.decisions_at, "before": cut})
        return bool(cursor.fetchone()[0])


def _export(cut: datetime, path: Path) -> int:
    written = 0
    with path.open("xb") as raw:
        with gzip.open(raw, "wb") as file:
            for page in _pages(cut):
                file.write("".join(f"{text}\n" for _, _, text in page).encode())
                written += len(page)
        raw.flush()
        os.fsync(raw.fileno())
    with gzip.open(path, "rb") as file:
        if (read := sum(1 for _ in file)) != written:
            raise ExportDiffers(f"{written} decisions were written, {read} can be read.")
    return written


def _drop(cut: datetime) -> int:
    """Nothing new is as old as what was exported: times never fall."""
    dropped = 0
    for page in _pages(cut):
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(_DROP, [[row_id for row_id, _, _ in page]])
            dropped += cursor.rowcount
    return dropped


def _pages(cut: datetime) -> Iterator[list[tuple[Any, ...]]]:
    for statement in (_DENIED, _OTHERS):
        at, row_id = _BEGINNING
        while True:
            with connection.cursor() as cursor:
                cursor.execute(statement, {"before": cut, "at": at, "id": row_id, "page": PAGE})
                page = cursor.fetchall()
            if not page:
                break
            yield page
            row_id, at, _ = page[-1]


def _bucket_of(at: datetime) -> datetime:
    """Where its quarter of an hour begins: rollups are kept by whole ones."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(BUCKET.total_seconds()), tz=at.tzinfo)

"""Forgetting spans: the old ones, and of the plain ones after some days all but a sample.

Nothing is forgotten that is not counted and in an archive file, and no trace with a failure or a leak in it before its
time. Read and deleted a few thousand at a time along the index of times.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from kernel.sql_files import read_sql
from telemetry.archive_kinds import ArchiveKind
from telemetry.evidence.models import EvidenceMark, EvidenceNote, SpanRollup
from telemetry.evidence.reading import AGE_MAX
from telemetry.selectors.archive_files import Archive
from telemetry.services.archiving import drop_old, write_archive

#: Until then every trace is whole: a span may still come, or come again.
WHOLE_FOR: Final = AGE_MAX + timedelta(days=1)
#: How long sums and notes are kept.
SUMS_FOR: Final = timedelta(days=400)
#: Rows of one statement, and of one file.
PAGE: Final = 2_000
FILE_ROWS: Final = 100_000
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_OLD: Final = read_sql("telemetry.evidence", "old_spans")
_PLAIN: Final = read_sql("telemetry.evidence", "plain_spans")
_DROP: Final = """
    DELETE FROM span AS s USING unnest(%(traces)s::text[], %(spans)s::text[]) AS gone (trace_id, span_id)
    WHERE s.trace_id = gone.trace_id AND s.span_id = gone.span_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For how many days spans are kept, at least `WHOLE_FOR`, and so many of a hundred plain traces after that."""

    days: int
    sample_percent: int


def forget_spans(*, owner: str, keeping: Keeping, now: datetime, has_time: Callable[[], bool]) -> int:
    """Archive and forget in the schema that the connection is in; how many spans. Safe to repeat and to be killed.

    To be called `alone`. Raises what `write_archive` and `drop_old` raise.
    """
    before = now - max(timedelta(days=keeping.days), WHOLE_FOR)
    forgotten, is_done = _all_of(owner, _OLD, {"before": before}, has_time)
    if is_done and keeping.sample_percent < 100:
        bounds = _bounds(now) | {"percent": keeping.sample_percent}
        thinned, is_done = _all_of(owner, _PLAIN, bounds, has_time)
        forgotten += thinned
    if is_done:
        with transaction.atomic():
            SpanRollup.objects.filter(bucket_at__lt=now - SUMS_FOR).delete()
            EvidenceNote.objects.filter(day__lt=(now - SUMS_FOR).date()).delete()
            EvidenceMark.objects.filter(pk=1).update(forgotten_at=now)
    return forgotten


def _bounds(now: datetime) -> dict[str, Any]:
    """What came of age since the last time; a trace that reaches over that time is looked at again."""
    last = EvidenceMark.objects.values_list("forgotten_at", flat=True).filter(pk=1).first()
    since = _FIRST if last is None else last - WHOLE_FOR - timedelta(days=1)
    return {"since": since, "before": now - WHOLE_FOR}


def _all_of(
    owner: str, statement: str, parameters: Mapping[str, Any], has_time: Callable[[], bool]
) -> tuple[int, bool]:
    def archive() -> Archive | None:
        pages = _pages(statement, parameters)
        return write_archive(kind=ArchiveKind.SPANS, owner=owner, pages=pages, until_at=parameters["before"])

    return drop_old(ArchiveKind.SPANS, owner=owner, archive=archive, key_of=_key_of, drop=_drop, has_time=has_time)


def _pages(statement: str, parameters: Mapping[str, Any]) -> Iterator[list[str]]:
    """What is so old does not come any more: a page that was read stays what it was."""
    at, trace, span, left = _FIRST, "", "", FILE_ROWS
    while left > 0:
        page: dict[str, Any] = {"at": at, "trace": trace, "span": span, "page": min(PAGE, left)}
        with connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, **page})
            rows = cursor.fetchall()
        if not rows:
            return
        yield [text for *_, text in rows]
        left -= len(rows)
        at, trace, span, _ = rows[-1]


def _key_of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["trace_id"], row["span_id"]


def _drop(_: Archive, keys: list[tuple[str, str]]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_DROP, {"traces": [trace for trace, _ in keys], "spans": [span for _, span in keys]})
        return int(cursor.rowcount)

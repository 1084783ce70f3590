"""Forgetting spans: the old ones, and of the plain ones after some days all but a sample.

Nothing is forgotten that is not counted, and no trace with a failure or a leak in it before its time. Deleted a few
thousand at a time along the index of times.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from kernel.sql_files import read_sql
from telemetry.evidence.models import EvidenceMark, EvidenceNote, SpanRollup
from telemetry.evidence.reading import AGE_MAX

#: Until then every trace is whole: a span may still come, or come again.
WHOLE_FOR: Final = AGE_MAX + timedelta(days=1)
#: How long sums and notes are kept.
SUMS_FOR: Final = timedelta(days=400)
_IN_A_GO: Final = 5_000
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FORGET: Final = read_sql("telemetry.evidence", "forget_spans")
_THIN: Final = read_sql("telemetry.evidence", "thin_spans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For how many days spans are kept, at least `WHOLE_FOR`, and so many of a hundred plain traces after that."""

    days: int
    sample_percent: int


def forget_spans(*, keeping: Keeping, now: datetime, has_time: Callable[[], bool]) -> int:
    """Forget in the schema that the connection is in; how many spans. Safe to repeat and to cut off."""
    before = now - max(timedelta(days=keeping.days), WHOLE_FOR)
    forgotten, is_done = _all_of(_FORGET, {"before": before}, has_time)
    if is_done and keeping.sample_percent < 100:
        thinned, is_done = _all_of(_THIN, _bounds(now) | {"percent": keeping.sample_percent}, has_time)
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


def _all_of(statement: str, parameters: dict[str, Any], has_time: Callable[[], bool]) -> tuple[int, bool]:
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters | {"at_most": _IN_A_GO})
            count = int(cursor.fetchone()[0])
        deleted += count
        if count < _IN_A_GO:
            return deleted, True
        if not has_time():
            return deleted, False

"""The sums of counted spans, of the schema that the connection is in."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from kernel.sql_files import read_sql
from telemetry.evidence.histograms import PLACES, percentile_us
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models import EvidenceMark, Span

_SUMS: Final = read_sql("telemetry.evidence", "span_sums")


@dataclass(frozen=True, slots=True, kw_only=True)
class SumLine:
    """Counted spans of one kind and subject: a model, a tool, a namespace. `repeats` are not among `spans`.

    Durations are the 50th, 95th and 99th of a hundred, in microseconds, None where nothing was counted; `cost` is in
    USD_MICROCENTS; `unpriced` calls are in it at the fallback's price.
    """

    kind: SpanKind
    provider: str
    subject: str
    spans: int
    repeats: int
    errors: int
    leaks: int
    tokens_input: int
    tokens_output: int
    cost: int
    unpriced: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None

    @property
    def error_ppm(self) -> int:
        """Failed ones, in parts per million."""
        return self.errors * 1_000_000 // self.spans if self.spans else 0


def sums_since(since: datetime, *, limit: int) -> list[SumLine]:
    """The most frequent first. One query over sums of 15 minutes."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, {"since": since, "at_most": limit})
        names = [column.name for column in cursor.description]
        return [_line(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def counted_until() -> datetime | None:
    """Everything that came in before is in the sums. None before the first visit. One query."""
    return EvidenceMark.objects.values_list("counted_at", flat=True).filter(pk=1).first()


def oldest_uncounted() -> datetime | None:
    """When the first span came in that is not counted yet. One query along their index."""
    waiting = Span.objects.filter(is_counted=None).order_by("received_at")
    return waiting.values_list("received_at", flat=True).first()


def _line(row: dict[str, Any]) -> SumLine:
    counts = [0] * PLACES
    found = row.pop("durations") or {}
    for place, count in (json.loads(found) if isinstance(found, str) else found).items():
        counts[int(place)] = count
    fields: dict[str, Any] = {
        name: value if name in {"provider", "subject"} else int(value) for name, value in row.items() if name != "kind"
    }
    return SumLine(
        kind=SpanKind(row["kind"]),
        **fields,
        p50_us=percentile_us(counts, 50),
        p95_us=percentile_us(counts, 95),
        p99_us=percentile_us(counts, 99),
    )

"""The newest leaks of several tenants together: what the leak query finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from budgets.selectors.across import rows_across
from kernel.ids import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakLine:
    """One span of the tenant `tag` with something of `source`, another tenant as the span named it."""

    tag: Tag
    trace_id: str
    span_id: str
    started_at: datetime
    kind: str
    name: str
    source: str
    is_prompt: bool
    namespace: str
    cache_key: str


def latest_leaks(tags: Sequence[Tag], *, limit: int) -> list[LeakLine]:
    """The newest first, of at most 25 tenants. One query."""
    rows = rows_across("evidence_leaks", tags, {"at_most": limit})
    rows.sort(key=lambda row: row["started_at"], reverse=True)
    return [_line(row) for row in rows[:limit]]


def _line(row: dict[str, Any]) -> LeakLine:
    is_prompt = row["prompt_source_tenant"] not in {None, row["tenant"]}
    return LeakLine(
        tag=Tag(row["tag"]),
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        started_at=row["started_at"],
        kind=row["kind"],
        name=row["name"],
        source=row["prompt_source_tenant"] if is_prompt else row["namespace_tenant"],
        is_prompt=is_prompt,
        namespace=row["namespace"],
        cache_key=row["cache_key"],
    )

"""Spans of the schema that the connection is in, a page at a time, and one trace whole."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models import Span

#: Spans of one trace that are shown.
TRACE_SPANS_MAX: Final = 500

_LEAKS: Final = "span.prompt_source_tenant <> span.tenant OR span.namespace_tenant <> span.tenant"
_COLUMNS: Final = (
    "trace_id",
    "span_id",
    "parent_id",
    "received_at",
    "started_at",
    "duration_us",
    "kind",
    "name",
    "service",
    "instrumentation",
    "is_error",
    "error_type",
    "tenant",
    "prompt_source_tenant",
    "namespace_tenant",
    "namespace",
    "cache_key",
    "agent",
    "tool",
    "run_id",
    "decision_id",
    "provider",
    "model",
    "response_id",
    "tokens_input",
    "tokens_output",
    "is_counted",
    "same_as",
    "cost",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLine:
    """One span, as `Span` describes it."""

    trace_id: str
    span_id: str
    parent_id: str
    received_at: datetime
    started_at: datetime
    duration_us: int
    kind: str
    name: str
    service: str
    instrumentation: str
    is_error: bool
    error_type: str
    tenant: str
    prompt_source_tenant: str | None
    namespace_tenant: str | None
    namespace: str
    cache_key: str
    agent: str
    tool: str
    run_id: str
    decision_id: str
    provider: str
    model: str
    response_id: str
    tokens_input: int
    tokens_output: int
    is_counted: bool | None
    same_as: str | None
    cost: int | None

    @property
    def leaks_from(self) -> str:
        """Whose prompt or namespace it was where that is another tenant; else empty."""
        for other in (self.prompt_source_tenant, self.namespace_tenant):
            if other is not None and other != self.tenant:
                return other
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanFilter:
    """What is empty, False or None does not narrow. `text` is a namespace or a cache key, whole."""

    since: datetime | None = None
    kind: SpanKind | None = None
    only_errors: bool = False
    only_leaks: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class SpanPage:
    """The newest first. `next_before` is the cursor of the next page, empty on the last one."""

    lines: tuple[SpanLine, ...]
    next_before: str


def span_page(wanted: SpanFilter, *, before: str = "", limit: int) -> SpanPage:
    """One query, along the index of times; of leaks along their own, of a namespace or cache key along theirs."""
    found = _matching(wanted)
    if (cursor := _read(before)) is not None:
        at, last = cursor
        found = found.filter(Q(started_at__lt=at) | Q(started_at=at, span_id__lt=last))
    lines = [SpanLine(**row) for row in found.order_by("-started_at", "-span_id").values(*_COLUMNS)[: limit + 1]]
    shown = tuple(lines[:limit])
    is_cut = len(lines) > limit
    return SpanPage(
        lines=shown, next_before=f"{shown[-1].started_at.isoformat()}~{shown[-1].span_id}" if is_cut else ""
    )


def trace_spans(trace_id: str) -> list[SpanLine]:
    """The spans of a trace in order of time, at most `TRACE_SPANS_MAX`. One query."""
    found = Span.objects.filter(trace_id=trace_id).order_by("started_at", "span_id")
    return [SpanLine(**row) for row in found.values(*_COLUMNS)[:TRACE_SPANS_MAX]]


def _matching(wanted: SpanFilter) -> QuerySet[Span]:
    found = Span.objects.all()
    if wanted.since is not None:
        found = found.filter(started_at__gte=wanted.since)
    if wanted.kind is not None:
        found = found.filter(kind=wanted.kind)
    if wanted.only_errors:
        found = found.filter(is_error=True)
    if wanted.only_leaks:
        found = found.filter(leaks())
    if wanted.text:
        found = found.filter(Q(namespace=wanted.text) | Q(cache_key=wanted.text))
    return found


def leaks() -> RawSQL:
    """The leak query. Word for word what its index is made of, or it would not be used."""
    return RawSQL(_LEAKS, [], output_field=BooleanField())  # noqa: S611  a constant


def _read(cursor: str) -> tuple[datetime, str] | None:
    """None where there is no cursor, or somebody wrote it by hand."""
    text, _, last = cursor.partition("~")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at, last[:16].replace("\0", "")) if at.tzinfo is not None else None

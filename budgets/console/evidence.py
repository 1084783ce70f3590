"""`evidence/` of one tenant: what its runtimes saw, span by span; one trace whole; and all of it as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.evidence_rows import NOTE_WORDS, span_row, sum_rows, tree_rows
from budgets.selectors.evidence_drift import drift
from kernel.pages.exports import csv_response
from kernel.pages.fragments import wants_fragment
from kernel.tenancy import in_tenant
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.selectors.notes import notes_since
from telemetry.evidence.selectors.rollups import counted_until, sums_since
from telemetry.evidence.selectors.spans import TRACE_SPANS_MAX, SpanFilter, span_page, trace_spans

_LINES_PER_PAGE: Final = 50
_READ_AT_ONCE: Final = 1_000
_NOTES: Final = 20
_SUMS: Final = 50
_TEXT_MAX: Final = 256
_SPANS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_WITHIN: Final = {"1h": "60 min", "24h": "24 h", "7d": "7 days", "30d": "30 days"}
_SHOWS: Final = {"": "All", "errors": "Failed", "leaks": "Leaks"}
_HEADS: Final = (
    *("started_at", "duration_us", "kind", "name", "is_error", "error_type", "trace_id", "span_id", "parent_id"),
    *("service", "instrumentation", "agent", "tool", "provider", "model", "response_id"),
    *("tokens_input", "tokens_output", "is_counted", "cost", "prompt_source_tenant", "namespace", "cache_key"),
    *("run_id", "decision_id"),
)


@page(Act.SEE_BOOKS)
def evidence(request: HttpRequest, slug: str) -> HttpResponse:
    """Five queries in the tenant's schema."""
    place = place_of(request)
    within = _within(request)
    now = datetime.now(UTC)
    since = now - _SPANS[within]
    wanted = _filter(request, now)
    with in_tenant(place.tenant.tag):
        found = span_page(wanted, before=request.GET.get("before", ""), limit=_LINES_PER_PAGE)
        sums = sums_since(since, limit=_SUMS)
        drifts = drift(sums, since=since)
        counted_at = counted_until()
        notes = notes_since(since, limit=_NOTES)
    asked = {name: request.GET[name] for name in ("within", "kind", "shows", "text") if request.GET.get(name)}
    context = _context(place) | {
        "rows": [span_row(line) for line in found.lines],
        "next_before": found.next_before,
        "sums": sum_rows(sums),
        "cost": sum(line.cost for line in sums),
        "unpriced": sum(line.unpriced for line in sums),
        "drifts": drifts,
        "counted_at": counted_at,
        "notes": [(NOTE_WORDS[note.kind], note) for note in notes],
        "within": within,
        "span": _WITHIN[within],
        "spans": _WITHIN.items(),
        "kind": wanted.kind.value if wanted.kind else "",
        "choices": SpanKind.choices,
        "shows": request.GET.get("shows") if request.GET.get("shows") in _SHOWS else "",
        "shown": _SHOWS.items(),
        "text": wanted.text,
        "query": urlencode(asked),
        "is_filtered": bool(asked.keys() - {"within"}),
        "first_step": first_steps.send_spans(),
    }
    return render(request, wants_fragment(request, "budgets/evidence.html", "list"), context)


@page(Act.SEE_BOOKS)
def evidence_trace(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """One query in the tenant's schema. 404 where it has no such trace, whoever else has."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        lines = trace_spans(trace_id.replace("\0", ""))
    if not lines:
        raise Http404
    context = _context(place) | {
        "trace_id": lines[0].trace_id,
        "rows": list(tree_rows(lines)),
        "is_cut": len(lines) == TRACE_SPANS_MAX,
        "leaks": sum(bool(line.leaks_from) for line in lines),
        "errors": sum(line.is_error for line in lines),
        "began": lines[0].started_at,
    }
    return render(request, "budgets/evidence_trace.html", context)


@page(Act.EXPORT)
def evidence_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The whole result of the filter."""
    tenant = place_of(request).tenant
    wanted = _filter(request, datetime.now(UTC))

    def rows() -> Iterator[tuple[Any, ...]]:
        before = ""
        while True:
            with in_tenant(tenant.tag):
                found = span_page(wanted, before=before, limit=_READ_AT_ONCE)
            for line in found.lines:
                yield tuple(getattr(line, name) for name in _HEADS)
            before = found.next_before
            if not before:
                return

    return csv_response(f"evidence-{tenant.slug}", _HEADS, rows())


def _context(place: Place) -> dict[str, Any]:
    return {
        "section": "tenants" if place.is_ops else "evidence",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }


def _filter(request: HttpRequest, now: datetime) -> SpanFilter:
    shows, kind = request.GET.get("shows", ""), request.GET.get("kind", "")
    return SpanFilter(
        since=now - _SPANS[_within(request)],
        kind=SpanKind(kind) if kind in SpanKind.values else None,
        only_errors=shows == "errors",
        only_leaks=shows == "leaks",
        text=request.GET.get("text", "").replace("\0", "").strip()[:_TEXT_MAX],
    )


def _within(request: HttpRequest) -> str:
    within = request.GET.get("within", "")
    return within if within in _SPANS else "24h"

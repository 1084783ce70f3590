"""Counting spans: which are the same call, what each costs, and the sums that pages read.

Each step is one short transaction that holds the tenant's mark: two at once take turns, one that is killed has done
nothing, and a span is added exactly once. What a call costs, somebody above says: prices are not telemetry's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import connection, transaction

from kernel.sql_files import read_sql
from telemetry.evidence.adding import Judged, rollups_of
from telemetry.evidence.judging import BILLED, Sighting, judge
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.models import EvidenceMark, Span

#: Spans judged by one step, and spans of their traces that are looked at.
STEP: Final = 2_000
FAMILY_MAX: Final = 20_000
_SEEN: Final = (
    *("trace_id", "span_id", "parent_id", "kind", "tool"),
    *("response_id", "tokens_input", "tokens_output", "is_counted", "instrumentation"),
    *("started_at", "duration_us", "same_as"),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_JUDGE: Final = read_sql("telemetry.evidence", "judge_spans")
_ADD: Final = read_sql("telemetry.evidence", "add_rollups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that costs something, as a span tells of it: `name` is the model's or the tool's."""

    kind: SpanKind
    provider: str
    name: str
    at: datetime
    tokens_input: int
    tokens_output: int
    tokens_cached: int
    tokens_cache_write: int
    tokens_reasoning: int


@dataclass(frozen=True, slots=True)
class Cost:
    """In USD_MICROCENTS. `name` is what the price calls the model or the tool: the ledger calls it that too."""

    amount: int
    is_fallback: bool
    name: str


#: Told which calls there will be, gives what each of them costs; None for one that it was not told of.
type Prices = Callable[[Sequence[Call]], Callable[[Call], Cost | None]]


def count_spans(*, prices: Prices, until: datetime, has_time: Callable[[], bool]) -> bool:
    """Count what came in before `until`, in the schema that the connection is in; whether all of it is counted now.

    One step is always made. Safe to repeat, to run twice at once, and to be killed anywhere.
    """
    while True:
        # Before the transaction: prices are read from the shared schema.
        price_of = prices([_call(span) for span in _waiting(until) if span.kind in BILLED])
        if _one_step(price_of, until):
            return True
        if not has_time():
            return False


def _waiting(until: datetime) -> list[Span]:
    return list(Span.objects.filter(is_counted=None, received_at__lte=until).order_by("received_at")[:STEP])


def _one_step(price_of: Callable[[Call], Cost | None], until: datetime) -> bool:
    with transaction.atomic(durable=True):
        mark = _locked_mark()
        spans = _waiting(until)
        same_as = judge(_family(spans), counted_answers=_counted_answers(spans))
        verdicts = [_verdict(span, same_as.get((span.trace_id, span.span_id)), price_of) for span in spans]
        judged = {(row[0], row[1]) for row in _run(_JUDGE, {"verdicts": _json(verdicts)})} if verdicts else set()
        sums = rollups_of(
            _judged(span, verdict)
            for span, verdict in zip(spans, verdicts, strict=True)
            if (span.trace_id, span.span_id) in judged
        )
        if sums:
            _run(_ADD, {"sums": _json(sums)})
        is_done = len(spans) < STEP
        if is_done:
            mark.counted_at = until
            mark.save(force_update=True)
    return is_done


def _locked_mark() -> EvidenceMark:
    EvidenceMark.objects.bulk_create([EvidenceMark(id=1)], ignore_conflicts=True)
    return EvidenceMark.objects.select_for_update().get(pk=1)


def _family(spans: Iterable[Span]) -> list[Sighting]:
    """All spans of the traces in which something that costs waits to be judged."""
    traces = {span.trace_id for span in spans if span.kind in BILLED}
    if not traces:
        return []
    found = Span.objects.filter(trace_id__in=traces).order_by("started_at", "span_id")
    return [_sighting(row) for row in found.values(*_SEEN)[:FAMILY_MAX]]


def _sighting(row: Mapping[str, Any]) -> Sighting:
    began_us = (row["started_at"] - _EPOCH) // timedelta(microseconds=1)
    return Sighting(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_id=row["parent_id"],
        kind=SpanKind(row["kind"]),
        tool=row["tool"],
        response_id=row["response_id"],
        has_usage=bool(row["tokens_input"] or row["tokens_output"]),
        is_counted=row["is_counted"],
        instrumentation=row["instrumentation"],
        tokens=(row["tokens_input"], row["tokens_output"]),
        began_us=began_us,
        ended_us=began_us + row["duration_us"],
        same_as=row["same_as"] or "",
    )


def _counted_answers(spans: Iterable[Span]) -> dict[str, str]:
    answers = {span.response_id for span in spans if span.response_id}
    found = Span.objects.filter(
        response_id__in=answers, is_counted=True, kind__in=[SpanKind.INFERENCE, SpanKind.EMBEDDING]
    )
    return dict(found.values_list("response_id", "span_id")) if answers else {}


def _verdict(span: Span, same_as: str | None, price_of: Callable[[Call], Cost | None]) -> dict[str, Any]:
    cost = price_of(_call(span)) if same_as is None and span.kind in BILLED else None
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "is_counted": same_as is None,
        "same_as": same_as,
        "cost": cost.amount if cost else None,
        "is_fallback_price": cost.is_fallback if cost else None,
        # For the sums; the span keeps its own.
        "priced_as": cost.name if cost else "",
    }


def _call(span: Span) -> Call:
    return Call(
        kind=SpanKind(span.kind),
        provider=span.provider,
        name=span.tool if span.kind == SpanKind.TOOL else span.model,
        at=span.started_at,
        tokens_input=span.tokens_input,
        tokens_output=span.tokens_output,
        tokens_cached=span.tokens_cached,
        tokens_cache_write=span.tokens_cache_write,
        tokens_reasoning=span.tokens_reasoning,
    )


def _judged(span: Span, verdict: Mapping[str, Any]) -> Judged:
    return Judged(
        started_at=span.started_at,
        kind=SpanKind(span.kind),
        provider=span.provider,
        subject=verdict["priced_as"] or span.model or span.tool or span.namespace,
        agent=span.agent,
        duration_us=span.duration_us,
        first_token_us=span.first_token_us,
        is_error=span.is_error,
        is_leak=any(of not in {None, span.tenant} for of in (span.prompt_source_tenant, span.namespace_tenant)),
        is_counted=verdict["is_counted"],
        cost=verdict["cost"],
        is_fallback_price=bool(verdict["is_fallback_price"]),
        tokens_input=span.tokens_input,
        tokens_output=span.tokens_output,
        tokens_cached=span.tokens_cached,
        tokens_cache_write=span.tokens_cache_write,
        tokens_reasoning=span.tokens_reasoning,
    )


def _json(rows: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


def _run(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []

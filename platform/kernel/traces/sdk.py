"""Spans by OpenTelemetry's own library, in batches, to a collector. Imported only where that is wished."""

import threading
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from kernel.traces import port

_KINDS: Final = {port.SpanKind.SERVER: SpanKind.SERVER, port.SpanKind.CONSUMER: SpanKind.CONSUMER}


class _KnownTraceIds(IdGenerator):
    """New ids, but of a trace that has one already: the caller was told it in `X-Cycles-Trace-Id`."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._next = threading.local()

    def use(self, trace_id: str) -> None:
        """For the next root span that this thread makes."""
        self._next.trace_id = int(trace_id, 16)

    def generate_span_id(self) -> int:
        return self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        known: int | None = getattr(self._next, "trace_id", None)
        self._next.trace_id = None
        return known or self._random.generate_trace_id()


class Traces:
    """Where spans go: to `processor`, those that the caller's trace has sampled, else `ratio` of all."""

    def __init__(self, processor: SpanProcessor, *, component: str, version: str, ratio: float) -> None:
        self._ids = _KnownTraceIds()
        self.provider: Final = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create(
                {
                    "service.name": f"watermaster-{component}",
                    "service.namespace": "watermaster",
                    "service.version": version,
                }
            ),
            id_generator=self._ids,
        )
        self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer("watermaster", version)

    def add(self, happened: port.Happened) -> None:
        context = Context()
        if happened.trace_id and happened.parent_id:
            parent = SpanContext(
                trace_id=int(happened.trace_id, 16),
                span_id=int(happened.parent_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(TraceFlags.SAMPLED if happened.is_sampled else TraceFlags.DEFAULT),
            )
            context = set_span_in_context(NonRecordingSpan(parent), context)
        elif happened.trace_id:
            self._ids.use(happened.trace_id)
        span = self._tracer.start_span(
            happened.name,
            context=context,
            kind=_KINDS[happened.kind],
            attributes=dict(happened.attributes),
            start_time=happened.began_unix_ns,
        )
        if happened.is_error:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=happened.ended_unix_ns)


def to_collector(*, endpoint: str, component: str, version: str, ratio: float) -> Traces:
    """Traces to the collector at `endpoint`, by OTLP over HTTP, from a thread of their own."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    return Traces(BatchSpanProcessor(exporter), component=component, version=version, ratio=ratio)

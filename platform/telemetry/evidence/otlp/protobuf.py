"""OTLP as protobuf: an ExportTraceServiceRequest. A span that cannot be read does not spoil the others."""

from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from telemetry.evidence.otlp.framing import Walk
from telemetry.evidence.otlp.sent import ATTRIBUTES_MAX, SPANS_MAX, Malformed, Scalar, Sent, SentSpan, TooManySpans

# The numbers of the fields on the way to a span, as the protocol's files give them.
_RESOURCE_SPANS: Final = 1
_RESOURCE: Final = 1
_SCOPE_SPANS: Final = 2
_SCOPE: Final = 1
_SPANS: Final = 2
#: A span with all its prompts. What is larger is counted as one that could not be read.
_SPAN_BYTES_MAX: Final = 2 * 1024 * 1024

type _Frame = tuple[memoryview, memoryview, memoryview]


def read_protobuf(raw: bytes) -> Sent:
    """The spans in `raw`. Raises `Malformed` or `TooManySpans` before any of them is unpacked."""
    frames: list[_Frame] = []
    for frame in _frames(memoryview(raw)):
        if len(frames) == SPANS_MAX:
            raise TooManySpans
        frames.append(frame)
    spans = list(_spans(frames))
    return Sent(spans=tuple(spans), unreadable=len(frames) - len(spans))


def _frames(request: memoryview) -> Iterator[_Frame]:
    """The bytes of each span, with those of its resource and of its scope."""
    walk = Walk()
    for resource_spans in walk.messages(request, _RESOURCE_SPANS):
        resource = walk.last(resource_spans, _RESOURCE)
        for scope_spans in walk.messages(resource_spans, _SCOPE_SPANS):
            scope = walk.last(scope_spans, _SCOPE)
            for span in walk.messages(scope_spans, _SPANS):
                yield span, resource, scope


def _spans(frames: Iterable[_Frame]) -> Iterator[SentSpan]:
    resource_bytes = scope_bytes = None
    resource: dict[str, Scalar] = {}
    scope = ""
    for span_bytes, its_resource, its_scope in frames:
        try:
            # Spans of one resource stand together: it is unpacked once.
            if its_resource is not resource_bytes:
                resource_bytes, resource = its_resource, _attributes(_unpacked(Resource(), its_resource).attributes)
            if its_scope is not scope_bytes:
                scope_bytes, scope = its_scope, _unpacked(InstrumentationScope(), its_scope).name
            yield _span(_unpacked(Span(), span_bytes), resource, scope)
        except Malformed:
            continue


def _unpacked[T: (Resource, InstrumentationScope, Span)](message: T, raw: memoryview) -> T:
    if len(raw) > _SPAN_BYTES_MAX:
        raise Malformed("A span is too large.")
    try:
        message.ParseFromString(bytes(raw))
    except DecodeError:
        raise Malformed("A span cannot be read.") from None
    return message


def _span(span: Span, resource: dict[str, Scalar], scope: str) -> SentSpan:
    return SentSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        resource=resource,
        scope=scope,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for number, pair in enumerate(pairs):
        if number == ATTRIBUTES_MAX:
            break
        value = _scalar(pair.value)
        if value is not None:
            found[pair.key] = value
    return found


def _scalar(value: AnyValue) -> Scalar | None:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bool_value":
            return value.bool_value
        case _:
            return None

"""OTLP as JSON. It is not protobuf's own JSON: ids are hex and not base64; large integers may be text or numbers."""

from collections.abc import Iterable
from typing import Final

import msgspec

from telemetry.evidence.otlp.sent import ATTRIBUTES_MAX, SPANS_MAX, Malformed, Scalar, Sent, SentSpan, TooManySpans

#: Opening brackets of one request: each may become an object in memory.
_BRACKETS_MAX: Final = 400_000
_ERROR: Final = (2, "STATUS_CODE_ERROR")

type _Number = int | str


class _Value(msgspec.Struct, rename="camel"):
    """Lists and maps are unknown here, and so are passed over without being built."""

    string_value: str | None = None
    int_value: _Number | None = None
    double_value: float | int | str | None = None
    bool_value: bool | None = None


class _Pair(msgspec.Struct):
    key: str = ""
    value: _Value | None = None


class _Status(msgspec.Struct):
    code: _Number | None = None


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str | None = ""
    name: str = ""
    start_time_unix_nano: _Number = 0
    end_time_unix_nano: _Number = 0
    attributes: list[_Pair] | None = None
    status: _Status | None = None


class _Attributed(msgspec.Struct):
    attributes: list[_Pair] | None = None


class _Scope(msgspec.Struct):
    name: str | None = None


class _ScopeSpans(msgspec.Struct):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Attributed | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_DECODER: Final = msgspec.json.Decoder(_Request)


def read_json(raw: bytes) -> Sent:
    """The spans in `raw`. Raises `Malformed` or `TooManySpans`."""
    if raw.count(b"{") > _BRACKETS_MAX:
        raise TooManySpans
    try:
        request = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The body is not an ExportTraceServiceRequest in JSON.") from None
    found: list[SentSpan] = []
    unreadable = 0
    for resource_spans in request.resource_spans or ():
        resource = _attributes(resource_spans.resource.attributes if resource_spans.resource else None)
        for scope_spans in resource_spans.scope_spans or ():
            scope = (scope_spans.scope.name if scope_spans.scope else None) or ""
            for span in scope_spans.spans or ():
                if len(found) + unreadable == SPANS_MAX:
                    raise TooManySpans
                try:
                    found.append(_span(span, resource, scope))
                except ValueError:
                    unreadable += 1
    return Sent(spans=tuple(found), unreadable=unreadable)


def _span(span: _Span, resource: dict[str, Scalar], scope: str) -> SentSpan:
    return SentSpan(
        trace_id=span.trace_id.lower(),
        span_id=span.span_id.lower(),
        parent_id=(span.parent_span_id or "").lower(),
        name=span.name,
        start_ns=int(span.start_time_unix_nano),
        end_ns=int(span.end_time_unix_nano),
        is_error=span.status is not None and span.status.code in _ERROR,
        attributes=_attributes(span.attributes),
        resource=resource,
        scope=scope,
    )


def _attributes(pairs: Iterable[_Pair] | None) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for number, pair in enumerate(pairs or ()):
        if number == ATTRIBUTES_MAX:
            break
        value = _scalar(pair.value) if pair.value is not None else None
        if value is not None:
            found[pair.key] = value
    return found


def _scalar(value: _Value) -> Scalar | None:
    """Raises ValueError for a number that is none."""
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    return value.bool_value

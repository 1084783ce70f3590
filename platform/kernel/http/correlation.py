"""Which request this is, and of which larger operation: request id and trace id.

The rules are the contract's section CORRELATION AND TRACING: `traceparent` first, then X-Cycles-Trace-Id, else
a new trace. A malformed header is treated as absent and never a reason to refuse.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.http import HttpRequest

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_SAMPLED: Final = "01"


class Correlation(msgspec.Struct, frozen=True):
    """`request_id` is ours and new; `trace_id` has 32 hex digits; `trace_flags` two, `01` means sampled.

    `parent_id`: the caller's own span, 16 hex digits, empty where it named none.
    """

    request_id: str
    trace_id: str
    trace_flags: str
    parent_id: str = ""

    @property
    def is_sampled(self) -> bool:
        return int(self.trace_flags, 16) & 1 == 1


def read_correlation(headers: Mapping[str, Any]) -> Correlation:
    """The correlation of the request with these WSGI headers (`HTTP_TRACEPARENT`, …)."""
    # One call for both: 128 bits for the request, 128 for a trace of our own.
    random_hex = os.urandom(32).hex()
    trace_id, trace_flags, parent_id = random_hex[32:], _SAMPLED, ""
    traceparent = headers.get("HTTP_TRACEPARENT")
    trace_header = headers.get("HTTP_X_CYCLES_TRACE_ID")
    if (
        traceparent is not None
        and (match := _TRACEPARENT.fullmatch(traceparent))
        and match[1] != _NO_TRACE
        and match[2] != _NO_SPAN
    ):
        trace_id, trace_flags, parent_id = match[1], match[3], match[2]
    elif trace_header is not None and _TRACE_ID.fullmatch(trace_header) and trace_header != _NO_TRACE:
        trace_id = trace_header
    return Correlation(
        request_id=f"req_{random_hex[:32]}", trace_id=trace_id, trace_flags=trace_flags, parent_id=parent_id
    )


def correlation_of(request: HttpRequest) -> Correlation:
    """The correlation of `request`, the same at every call."""
    known = getattr(request, "correlation", None)
    if isinstance(known, Correlation):
        return known
    correlation = read_correlation(request.META)
    request.correlation = correlation  # type: ignore[attr-defined]
    return correlation

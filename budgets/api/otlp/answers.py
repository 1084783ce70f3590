"""What an exporter is told: nothing where all is well, else how many spans were refused, and why."""

from collections.abc import Mapping
from typing import Final

import msgspec
from django.http import HttpResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.reading import AGE_MAX
from telemetry.evidence.services.recording import Recorded

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_WHY: Final[Mapping[NoteKind, str]] = {
    NoteKind.FOREIGN: "name another tenant, and the key decides whose spans they are",
    NoteKind.MALFORMED: "cannot be read, or have ids that are not 16 and 8 bytes",
    NoteKind.OUT_OF_TIME: f"began more than {AGE_MAX.days} days ago or lie in the future",
}


def answer_to(recorded: Recorded, *, content_type: str) -> HttpResponse:
    """In the encoding of the request. Spans that were sent before are no failure."""
    rejected, words = recorded.refused_count, _words(recorded)
    if content_type == JSON:
        partial = {"rejectedSpans": str(rejected), "errorMessage": words}
        return HttpResponse(msgspec.json.encode({"partialSuccess": partial} if rejected else {}), content_type=JSON)
    message = ExportTraceServiceResponse()
    if rejected:
        message.partial_success.rejected_spans = rejected
        message.partial_success.error_message = words
    return HttpResponse(message.SerializeToString(), content_type=PROTOBUF)


def _words(recorded: Recorded) -> str:
    reasons = "; ".join(f"{recorded.refused[kind]} {why}" for kind, why in _WHY.items() if recorded.refused.get(kind))
    return f"Refused spans: {reasons}." if reasons else ""

from telemetry.evidence.models.note import EvidenceNote
from telemetry.evidence.models.rollup import EvidenceMark, SpanRollup
from telemetry.evidence.models.span import Span

__all__ = ["EvidenceMark", "EvidenceNote", "Span", "SpanRollup"]

from telemetry.evidence.models.note import EvidenceNote
from telemetry.evidence.models.span import Span

__all__ = ["EvidenceNote", "Span"]

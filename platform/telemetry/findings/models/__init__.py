from telemetry.findings.models.evidence_standing import EvidenceStanding

__all__ = ["EvidenceStanding"]

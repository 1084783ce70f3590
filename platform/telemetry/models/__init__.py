from telemetry.models.audit_entry import ActorType, AuditEntry
from telemetry.models.outbox_event import OutboxEvent

__all__ = ["ActorType", "AuditEntry", "OutboxEvent"]

from telemetry.models.archive_file import ArchiveFile
from telemetry.models.audit_entry import ActorType, AuditEntry
from telemetry.models.outbox_event import OutboxEvent
from telemetry.models.webhook_delivery import WebhookDelivery
from telemetry.models.webhook_subscription import WebhookSubscription

__all__ = [
    "ActorType",
    "ArchiveFile",
    "AuditEntry",
    "OutboxEvent",
    "WebhookDelivery",
    "WebhookSubscription",
]

from telemetry.models.audit_entry import ActorType, AuditEntry
from telemetry.models.outbox_event import OutboxEvent
from telemetry.models.webhook_delivery import WebhookDelivery
from telemetry.models.webhook_subscription import WebhookSubscription

__all__ = ["ActorType", "AuditEntry", "OutboxEvent", "WebhookDelivery", "WebhookSubscription"]

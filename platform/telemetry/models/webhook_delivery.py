"""One event on its way to one receiver."""

from django.db import models
from django.db.models import Q

from telemetry.models.webhook_subscription import WebhookSubscription
from telemetry.webhook_states import WAITING, DeliveryStatus


class WebhookDelivery(models.Model):
    """Numbered in the order of its schema's events; first attempts are made in this order."""

    id = models.BigAutoField(primary_key=True)
    # The first index below serves it. A constraint would be triggers in every tenant's schema.
    subscription = models.ForeignKey(
        WebhookSubscription, on_delete=models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    event_id = models.UUIDField()
    event_type = models.TextField()
    trace_id = models.TextField(blank=True, default="")
    replay_id = models.UUIDField(null=True, help_text="The replay that asked for it.")
    body = models.TextField(null=True, help_text="The event as JSON, where its outbox is that of another schema.")
    status = models.TextField(choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(help_text="Not before.")
    attempted_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    response_status = models.IntegerField(null=True)
    response_time_ms = models.IntegerField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        db_table = "webhook_delivery"
        constraints = [
            # What makes handing out safe to repeat.
            models.UniqueConstraint(
                fields=["subscription", "event_id"], condition=Q(replay_id=None), name="one_delivery_of_an_event"
            ),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="webhook_delivery_status"),
        ]
        indexes = [
            models.Index(fields=["subscription", "id"], name="webhook_delivery_of"),
            models.Index(
                fields=["subscription", "next_attempt_at"], condition=Q(status__in=WAITING), name="webhook_delivery_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.status}"

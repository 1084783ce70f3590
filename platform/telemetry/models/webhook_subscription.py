"""A receiver of events: where to, of what, and how it has done. A tenant's own, or in `public` the platform's."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from kernel.ids import uuid7
from telemetry.webhook_states import WebhookStatus


class WebhookSubscription(models.Model):
    """Secrets and header values are sealed (`kernel.sealing`). Delays are in milliseconds."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    url = models.TextField()
    event_types = ArrayField(models.TextField(), default=list)
    event_categories = ArrayField(models.TextField(), default=list)
    scope_filter = models.TextField(blank=True, default="", help_text="A scope path that may hold `*`; empty for all.")
    thresholds = models.JSONField(null=True)
    metadata = models.JSONField(null=True)

    secret = models.TextField(help_text="Sealed.")
    previous_secret = models.TextField(blank=True, default="", help_text="Sealed; signs too until its time is over.")
    previous_secret_until = models.DateTimeField(null=True)
    headers = models.TextField(blank=True, default="", help_text="Sealed: a JSON object of names and values.")
    header_names = ArrayField(models.TextField(), default=list)

    status = models.TextField(choices=WebhookStatus, default=WebhookStatus.ACTIVE)
    status_reason = models.TextField(blank=True, default="")
    max_retries = models.IntegerField(default=5)
    initial_delay_ms = models.IntegerField(default=1_000)
    backoff_multiplier = models.FloatField(default=2.0)
    max_delay_ms = models.IntegerField(default=60_000)
    disable_after_failures = models.IntegerField(default=10)
    consecutive_failures = models.IntegerField(default=0, help_text="Deliveries given up since the last success.")

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    listens_since = models.DateTimeField(help_text="Made or resumed then: of events before it nothing is delivered.")
    quiet_until = models.DateTimeField(null=True, help_text="It did not answer at all, so nothing is tried until then.")
    last_triggered_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook_subscription"
        constraints = [
            models.CheckConstraint(
                condition=Q(event_types__len__gt=0) | Q(event_categories__len__gt=0),
                name="webhook_subscription_selects_something",
            ),
            models.CheckConstraint(condition=Q(status__in=WebhookStatus.values), name="webhook_subscription_status"),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.url} {self.status}"

"""The outbox: what others must be told, written in the transaction of its cause."""

from django.db import models

from kernel.ids import uuid7


class OutboxEvent(models.Model):
    """A worker delivers it at least once and then sets `delivered_at`; receivers tell repeats by the id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    event_type = models.TextField(help_text="The protocol's dotted name, as in `budget.funded`.")
    scope_path = models.TextField(blank=True, default="")
    payload = models.JSONField()
    request_id = models.TextField(blank=True, default="")
    trace_id = models.TextField(blank=True, default="")
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "outbox_event"
        indexes = [
            models.Index(fields=["id"], condition=models.Q(delivered_at=None), name="outbox_event_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"

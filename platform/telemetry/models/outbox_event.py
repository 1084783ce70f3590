"""The outbox: what others must be told, written in the transaction of its cause."""

from django.db import models

from kernel.ids import uuid7


class OutboxEvent(models.Model):
    """A worker makes a delivery of it for each receiver and sets `delivered_at`; receivers tell repeats by the id.

    `seq` is the order in which events were written, which only under the ledger head is that in which they were
    committed: `telemetry.selectors.settled_events` tells how far they can be read.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # An identity column: the database counts, whoever inserts.
    seq = models.BigIntegerField(db_default=0, editable=False)
    at = models.DateTimeField()
    event_type = models.TextField(help_text="The protocol's dotted name, as in `budget.funded`.")
    scope_path = models.TextField(blank=True, default="")
    payload = models.JSONField()
    request_id = models.TextField(blank=True, default="")
    trace_id = models.TextField(blank=True, default="")
    delivered_at = models.DateTimeField(null=True, help_text="When it was handed out to the receivers.")

    class Meta:
        db_table = "outbox_event"
        indexes = [
            models.Index(fields=["seq"], condition=models.Q(delivered_at=None), name="outbox_event_waiting"),
            models.Index(fields=["seq"], name="outbox_event_seq"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"

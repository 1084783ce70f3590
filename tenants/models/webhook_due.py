"""Whose events wait to be handed out or delivered: what tells the worker whom to visit, and whom not."""

from django.db import models


class WebhookDue(models.Model):
    """A hint, never the truth: the tenant's own outbox and deliveries decide. The platform has a line of its own.

    Nobody who writes an event says so here. PostgreSQL counts the rows inserted into each table, and a count that is
    another one than at the last visit means something new (`docs/decisions/rollups-follow-row-counts.md`).
    """

    tag = models.TextField(primary_key=True)
    outbox_table = models.BigIntegerField(help_text="The oid of its outbox_event.")
    inserts_seen = models.BigIntegerField(default=-1, help_text="Rows ever inserted there, when it was visited.")
    due_at = models.DateTimeField(null=True, help_text="When a delivery is to be tried; NULL while none waits.")
    oldest_at = models.DateTimeField(
        null=True, help_text="Since when the oldest of its events waits, as its last visit left it."
    )
    visited_at = models.DateTimeField(null=True, help_text="When its last visit began.")
    asked_at = models.DateTimeField(null=True, help_text="When a visit was asked for that has not ended.")

    class Meta:
        db_table = "webhook_due"

    def __str__(self) -> str:
        return f"{self.tag} at {self.due_at}"

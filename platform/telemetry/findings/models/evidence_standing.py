"""How one tenant's evidence stands, in the shared schema: what operators' pages and the worker look at first."""

from django.db import models


class EvidenceStanding(models.Model):
    """One row a tenant that has ever sent a span. Numbers only: nothing of what the spans say.

    Written after the tenant's own schema, in a transaction of its own; the worker's visit mends what was lost between.
    """

    tag = models.TextField(primary_key=True)
    due_at = models.DateTimeField(null=True, help_text="From when on the worker has something to do.")
    last_span_at = models.DateTimeField(null=True, help_text="When the last one came in.")
    leaks = models.BigIntegerField(default=0, help_text="Spans with another tenant's prompt or namespace.")
    last_leak_at = models.DateTimeField(null=True)
    foreign_spans = models.BigIntegerField(default=0, help_text="Refused spans that named another tenant.")
    last_foreign_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "evidence_standing"
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="evidence_standing_due"),
        ]

    def __str__(self) -> str:
        return f"{self.tag}: {self.leaks} leaks"

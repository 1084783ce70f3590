"""What came of holding the ledger against what others say was used."""

from django.db import models

from budgets.reconciling.calls import Source
from kernel.ids import uuid7


class Reconciliation(models.Model):
    """One comparison. Never changed: a later one is another row.

    Amounts are in USD_MICROCENTS. `differences` has the ones that are worth most; the counts are of all of them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    actor = models.TextField()
    reason = models.TextField(blank=True, default="")
    source = models.TextField(choices=[(each.value, each.value) for each in Source])
    name = models.TextField(help_text="Of the file or folder, without where it lay.")
    digest = models.TextField(blank=True, default="", help_text="SHA-256 of the file, in hex.")
    since = models.DateTimeField()
    until = models.DateTimeField(help_text="Exclusive.")
    scope_path = models.TextField(blank=True, default="", help_text="Only charges at or below it were looked at.")
    provider = models.TextField(blank=True, default="", help_text="Only charges of it, or of none, were looked at.")
    by_days = models.BooleanField(help_text="Sums of days were compared, not calls.")
    tolerance_ppm = models.BigIntegerField()
    observed = models.JSONField(help_text="calls, tokens_input, tokens_output, cost.")
    booked = models.JSONField(help_text="The same of the ledger.")
    matched = models.BigIntegerField()
    missing = models.BigIntegerField()
    extra = models.BigIntegerField()
    drift = models.BigIntegerField()
    unread = models.BigIntegerField(help_text="Lines of the source that could not be read.")
    differences = models.JSONField()

    class Meta:
        db_table = "reconciliation"
        indexes = [models.Index(fields=["at"], name="reconciliation_at")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.source} {self.name}"

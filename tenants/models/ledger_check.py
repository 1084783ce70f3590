"""Whose books are checked when, and the seal that the last sound check saw. What was found is in `Verification`."""

from django.db import models


class LedgerCheck(models.Model):
    """One row a tenant, written by the worker. `checked_at` is None until the first check has ended."""

    tag = models.TextField(primary_key=True)
    asked_at = models.DateTimeField(null=True, help_text="When a check was last asked for.")
    checked_at = models.DateTimeField(null=True)
    sealed_seq = models.BigIntegerField(default=0, help_text="The last entry under a seal, when all was sound.")
    seal_hash = models.TextField(default="", help_text="Of that seal, in hexadecimal.")

    class Meta:
        db_table = "ledger_check"

    def __str__(self) -> str:
        return f"{self.tag} as of {self.checked_at}"

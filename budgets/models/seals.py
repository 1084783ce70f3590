"""A seal over closed ledger entries: who changes or removes one of them afterwards cannot make it fit again."""

from django.db import models
from django.db.models import F, Q


class LedgerSeal(models.Model):
    """Written once, by the worker, behind the decisions. Seal `number` covers `first_seq` to `last_seq` without gaps.

    `hash` covers everything above it and the seal before; `signature` is made with a key that the database does not
    hold. How each is computed: `budgets/services/seal_hashes.py` and `budgets/sql/ledger_hashes.sql`.
    """

    number = models.BigIntegerField(primary_key=True, help_text="From 1, without gaps.")
    layout = models.SmallIntegerField(help_text="Which columns of an entry were hashed, and how.")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    entries_hash = models.BinaryField(help_text="SHA-256 over the SHA-256 of each entry, in order.")
    previous_hash = models.BinaryField(help_text="The hash of the seal before; of the first one, 32 zero bytes.")
    hash = models.BinaryField()
    signature = models.BinaryField(help_text="HMAC of the hash.")
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_seal"
        constraints = [
            models.CheckConstraint(condition=Q(first_seq__lte=F("last_seq")), name="ledger_seal_is_not_empty"),
            models.UniqueConstraint(fields=["first_seq"], name="one_seal_per_entry"),
        ]

    def __str__(self) -> str:
        return f"seal {self.number}: {self.first_seq} to {self.last_seq}"

"""Invoices that people handed in to be held against the ledger."""

from django.db import models

from kernel.ids import uuid7


class InvoiceFile(models.Model):
    """A file as it came, in the schema of its tenant: no folder to share among consoles, and none to break out of.

    Reconciliations name it by its digest. The same file is kept once.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    actor = models.TextField()
    name = models.TextField(help_text="As whoever sent it called it; it names nothing of ours.")
    digest = models.TextField(unique=True, help_text="SHA-256 of the content, in hex.")
    content = models.BinaryField()

    class Meta:
        db_table = "invoice_file"

    def __str__(self) -> str:
        return f"{self.name} {self.digest[:12]}"

"""Invoices that were handed in, of the tenant whose schema the connection is in."""

from budgets.models import InvoiceFile


def invoice_content(digest: str) -> bytes | None:
    """The file with this SHA-256; None where none was handed in, or it is not kept any more. One query."""
    content = InvoiceFile.objects.filter(digest=digest).values_list("content", flat=True).first()
    return None if content is None else bytes(content)


def has_invoice(digest: str) -> bool:
    """One query."""
    return bool(digest) and InvoiceFile.objects.filter(digest=digest).exists()

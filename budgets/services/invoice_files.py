"""Keeping the invoices that people handed in, so many of each tenant."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from budgets.models import InvoiceFile
from kernel.actor import Actor

#: More is for `manage.py reconcile`, beside traffic.
BYTES_MAX: Final = 4 * 1024 * 1024
#: Older ones go; their reconciliations stay, with the digest.
FILES_MAX: Final = 50
_NAME_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Invoice:
    """A file as somebody sent it. Its name is shown and opens nothing."""

    name: str
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def keep_invoice(invoice: Invoice, *, actor: Actor, now: datetime) -> None:
    """In the schema and the transaction of the caller. The same file again is kept once, as the newest one."""
    InvoiceFile.objects.filter(digest=invoice.digest).delete()
    row = InvoiceFile(at=now, actor=actor.name, name=shown_name(invoice.name), digest=invoice.digest)
    row.content = invoice.content
    InvoiceFile.objects.bulk_create([row], ignore_conflicts=True)
    newest = InvoiceFile.objects.order_by("-at", "-id").values("pk")[:FILES_MAX]
    InvoiceFile.objects.exclude(pk__in=newest).delete()


def shown_name(name: str) -> str:
    """The last part of it, in one line of signs that can be seen."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign if sign.isprintable() else " " for sign in last)[:_NAME_LENGTH_MAX].strip() or "invoice.csv"

"""Keeping the platform's list of unanswered requests, in the transactions of the tenants' own."""

from datetime import datetime
from uuid import UUID

from kernel.ids import Tag, schema_name
from kernel.tenancy import in_public
from tenants.models import OpenRequest, Tenant


def note_open_request(
    *, id: UUID, tag: Tag, scope_path: str, unit: str, amount: int, reason: str, asked_by: str, asked_at: datetime
) -> None:
    """Put a request on the list. Safe to repeat."""
    with in_public():
        OpenRequest.objects.get_or_create(
            id=id,
            defaults={
                "tenant": Tenant.objects.get(schema_name=schema_name(tag)),
                "scope_path": scope_path,
                "unit": unit,
                "amount": amount,
                "reason": reason,
                "asked_by": asked_by,
                "asked_at": asked_at,
            },
        )


def drop_open_request(*, id: UUID) -> None:
    """Take an answered request off the list. Safe to repeat."""
    with in_public():
        OpenRequest.objects.filter(pk=id).delete()

"""Keeping the platform's list of unanswered requests, in the transactions of the tenants' own."""

from datetime import datetime
from uuid import UUID

from kernel.ids import Tag, schema_name
from kernel.tenancy import in_public
from tenants.models import OpenRequest, Tenant


def note_open_request(
    *, id: UUID, tag: Tag, scope_path: str, unit: str, amount: int, reason: str, asked_by: str, asked_at: datetime
) -> bool:
    """Put a request on the list; False where the id is another tenant's. Safe to repeat."""
    with in_public():
        tenant = Tenant.objects.get(schema_name=schema_name(tag))
        noted, _ = OpenRequest.objects.get_or_create(
            id=id,
            defaults={
                "tenant": tenant,
                "scope_path": scope_path,
                "unit": unit,
                "amount": amount,
                "reason": reason,
                "asked_by": asked_by,
                "asked_at": asked_at,
            },
        )
    return noted.tenant_id == tenant.pk


def drop_open_request(*, id: UUID, tag: Tag) -> None:
    """Take an answered request of this tenant off the list. Safe to repeat."""
    with in_public():
        OpenRequest.objects.filter(pk=id, tenant__schema_name=schema_name(tag)).delete()

"""Keeping the last proof of each tenant's books."""

from datetime import datetime

from kernel.ids import Tag
from kernel.tenancy import in_public
from tenants.models import Tenant, Verification, VerifiedPart


def note_verification(
    *, tag: Tag, part: VerifiedPart, at: datetime, took_ms: int, read: int, differences: int, first: str = ""
) -> None:
    """The part of the tenant's books was proven at `at`, with so many differences. Safe to repeat.

    Nothing for a tenant that is no longer in the directory.
    """
    with in_public():
        tenant = Tenant.objects.filter(schema_name=f"t_{tag}").values_list("pk", flat=True).first()
        if tenant is None:
            return
        Verification.objects.update_or_create(
            tag=tag,
            part=part,
            defaults={
                "tenant_id": tenant,
                "at": at,
                "took_ms": took_ms,
                "read": read,
                "differences": differences,
                "first_difference": first,
            },
        )

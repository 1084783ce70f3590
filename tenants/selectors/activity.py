"""Which tenants are at work, from the worker's notes in the shared schema."""

from django.db.models import F

from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStatus
from tenants.selectors.directory import TenantLine, tenant_line


def latest_active(*, limit: int) -> list[TenantLine]:
    """The tenants that the worker has visited last, because something was new there; then those never visited.

    One query.
    """
    with in_public():
        found = Tenant.objects.select_related("plan").exclude(status=TenantStatus.PROVISIONING)
        return [
            tenant_line(each) for each in found.order_by(F("standing__as_of").desc(nulls_last=True), "slug")[:limit]
        ]

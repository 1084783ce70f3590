"""A tenant's life: made, suspended, resumed, closed, reopened. What its own schema says counts; the directory follows."""

from datetime import datetime

from kernel.tenancy import in_tenant
from tenants.models import Tenant, TenantStatus
from tenants.services import provisioning
from tenants.services.provisioning import NewTenant

from budgets.models import LedgerHead


def create_tenant(new: NewTenant, *, now: datetime) -> Tenant:
    """A tenant with its schema and open, empty books. Asking again for one that was cut off half-way completes it.

    Raises `provisioning.InvalidSlug`, `provisioning.UnknownTimeZone` or `provisioning.SlugTaken`.
    """
    tenant = provisioning.register_tenant(new, now=now)
    provisioning.create_schema(tenant.tag)
    with in_tenant(tenant.tag):
        LedgerHead.objects.get_or_create(pk=1, defaults={"slug": tenant.slug, "time_zone": tenant.time_zone})
    provisioning.set_directory_status(tenant, TenantStatus.ACTIVE)
    return tenant

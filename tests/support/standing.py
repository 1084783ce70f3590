"""A tenant that stands for many tests, where none of them changes it or each keeps to scopes of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from kernel.lanes import shared_lanes
from tenants.models import Tenant
from tenants.services.provisioning import NewTenant
from tests.support.tenants import drop_tenant, make_tenant


@contextmanager
def standing_tenant(slug: str) -> Iterator[Tenant]:
    """The tenant `slug` for as long as the block lasts; the caller has the run's database open."""
    tenant = make_tenant(NewTenant(slug=slug, name=slug.title()))
    try:
        yield tenant
    finally:
        shared_lanes().close()
        drop_tenant(tenant)

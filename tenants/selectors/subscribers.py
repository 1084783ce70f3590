"""Who is on which plan, from the directory."""

from collections.abc import Iterator
from typing import Final

from django.db.models import Count

from kernel.tenancy import in_public
from tenants.models import Tenant
from tenants.selectors.directory import DirectoryPage, TenantLine, tenant_line

_STEP: Final = 500


def subscriber_counts() -> dict[tuple[str, int], int]:
    """Tenants on each version of each plan; versions without any are left out. One query."""
    with in_public():
        rows = Tenant.objects.filter(plan__isnull=False).values_list("plan__code", "plan__version")
        return {(code, version): count for code, version, count in rows.annotate(tenants=Count("pk"))}


def subscribers_page(*, code: str, version: int | None = None, after: str = "", limit: int) -> DirectoryPage:
    """Tenants on a plan, or on one version of it, by slug, after the slug `after`. One query."""
    found = Tenant.objects.select_related("plan").filter(plan__code=code)
    if version is not None:
        found = found.filter(plan__version=version)
    if after:
        found = found.filter(slug__gt=after)
    with in_public():
        lines = [tenant_line(tenant) for tenant in found.order_by("slug")[: limit + 1]]
    is_cut = len(lines) > limit
    return DirectoryPage(tenants=tuple(lines[:limit]), next_after=lines[limit - 1].slug if is_cut else None)


def every_subscriber(*, code: str) -> Iterator[TenantLine]:
    """All of them, read in steps."""
    after: str | None = ""
    while after is not None:
        step = subscribers_page(code=code, after=after, limit=_STEP)
        yield from step.tenants
        after = step.next_after

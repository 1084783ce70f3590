"""Which tenants somebody means, as an address says it: the same for a page, a count, a file and an act on all."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStatus
from tenants.selectors.directory import TenantLine, tenant_line


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFilter:
    """What is empty or None does not narrow. `plan` is a plan's code; `is_stopped` as `TenantLine.is_stopped`."""

    search: str = ""
    status: TenantStatus | None = None
    is_stopped: bool | None = None
    plan: str = ""


def matching(tenants: QuerySet[Tenant], wanted: TenantFilter, *, now: datetime) -> QuerySet[Tenant]:
    """Those of `tenants` that the filter means. For a block `in_public`."""
    if wanted.search:
        tenants = tenants.filter(Q(slug__icontains=wanted.search) | Q(name__icontains=wanted.search))
    if wanted.status is not None:
        tenants = tenants.filter(status=wanted.status)
    if wanted.plan:
        tenants = tenants.filter(plan__code=wanted.plan)
    if wanted.is_stopped is not None:
        tenants = tenants.filter(stopped_now(now)) if wanted.is_stopped else tenants.exclude(stopped_now(now))
    return tenants


def matching_lines(
    wanted: TenantFilter, *, slugs: tuple[str, ...] | None = None, now: datetime, limit: int
) -> list[TenantLine]:
    """The tenants with open books that the filter means, of `slugs` where they are given. One query."""
    with in_public():
        found = matching(Tenant.objects.select_related("plan"), wanted, now=now)
        found = found.filter(status__in=[TenantStatus.ACTIVE, TenantStatus.SUSPENDED])
        if slugs is not None:
            found = found.filter(slug__in=slugs)
        return [tenant_line(tenant) for tenant in found.order_by("slug")[:limit]]


def matching_count(wanted: TenantFilter, *, now: datetime) -> int:
    """How many tenants the filter means. One query."""
    with in_public():
        return matching(Tenant.objects.all(), wanted, now=now).count()


def stopped_now(now: datetime) -> Q:
    """Tenants of which nothing new may begin."""
    is_switched_off = Q(stopped_at__isnull=False) & (Q(stop_ends_at__isnull=True) | Q(stop_ends_at__gt=now))
    return Q(status=TenantStatus.SUSPENDED) | is_switched_off

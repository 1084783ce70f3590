"""The directory of tenants, from the shared schema, a page at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from kernel.ids import PLATFORM_TAG, Tag, schema_name
from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStatus

__all__ = [
    "DirectoryPage",
    "TenantLine",
    "TenantStatus",
    "directory_page",
    "plan_defaults_of",
    "tenant_by_slug",
    "tenant_by_tag",
    "tenant_count",
    "tenant_line",
    "tenants_by_tag",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLine:
    """One tenant as the directory knows it. `plan` and `plan_version` are None for a tenant without a plan."""

    tag: Tag
    slug: str
    name: str
    status: TenantStatus
    time_zone: str
    plan: str | None
    plan_version: int | None
    created_at: datetime
    closed_at: datetime | None
    stopped_at: datetime | None = None
    stop_ends_at: datetime | None = None

    def is_stopped(self, *, now: datetime) -> bool:
        """Whether nothing new of it may begin: it is suspended, or a kill switch stops all of it."""
        is_switched_off = self.stopped_at is not None and (self.stop_ends_at is None or self.stop_ends_at > now)
        return self.status == TenantStatus.SUSPENDED or is_switched_off

    @property
    def has_books(self) -> bool:
        """Whether its schema is there for sure."""
        return self.status != TenantStatus.PROVISIONING


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """Tenants in order of their slugs. `next_after` is the slug to ask from for the next page, None on the last one."""

    tenants: tuple[TenantLine, ...]
    next_after: str | None


def directory_page(
    *, search: str = "", status: TenantStatus | None = None, after: str = "", limit: int
) -> DirectoryPage:
    """Tenants whose slug or name contains `search`, after the slug `after`. One query."""
    found = _lines()
    if search:
        found = found.filter(Q(slug__icontains=search) | Q(name__icontains=search))
    if status is not None:
        found = found.filter(status=status)
    if after:
        found = found.filter(slug__gt=after)
    with in_public():
        lines = [tenant_line(tenant) for tenant in found.order_by("slug")[: limit + 1]]
    is_cut = len(lines) > limit
    return DirectoryPage(tenants=tuple(lines[:limit]), next_after=lines[limit - 1].slug if is_cut else None)


def tenant_count() -> int:
    with in_public():
        return Tenant.objects.count()


def tenant_by_slug(slug: str) -> TenantLine | None:
    with in_public():
        tenant = _lines().filter(slug=slug).first()
    return tenant_line(tenant) if tenant else None


def tenant_by_tag(tag: Tag) -> TenantLine | None:
    """The tenant that an id or a key speaks of."""
    if tag == PLATFORM_TAG:
        return None
    with in_public():
        tenant = _lines().filter(schema_name=schema_name(tag)).first()
    return tenant_line(tenant) if tenant else None


def plan_defaults_of(tag: Tag) -> Mapping[str, Any]:
    """What the tenant's plan gives, as it was published; nothing for a tenant without one. One query."""
    with in_public():
        defaults = Tenant.objects.filter(schema_name=schema_name(tag)).values_list("plan__defaults", flat=True).first()
    return defaults or {}


def tenants_by_tag(tags: Iterable[Tag | str]) -> dict[str, TenantLine]:
    """The tenants with these tags, by tag; those that are gone are left out. One query."""
    names = [schema_name(Tag(tag)) for tag in tags]
    if not names:
        return {}
    with in_public():
        return {str(tenant.tag): tenant_line(tenant) for tenant in _lines().filter(schema_name__in=names)}


def _lines() -> QuerySet[Tenant]:
    tenants: QuerySet[Tenant] = Tenant.objects.select_related("plan")
    return tenants


def tenant_line(tenant: Tenant) -> TenantLine:
    """A row of the directory, read with its plan."""
    return TenantLine(
        tag=tenant.tag,
        slug=tenant.slug,
        name=tenant.name,
        status=TenantStatus(tenant.status),
        time_zone=tenant.time_zone,
        plan=tenant.plan.name if tenant.plan else None,
        plan_version=tenant.plan.version if tenant.plan else None,
        created_at=tenant.created_at,
        closed_at=tenant.closed_at,
        stopped_at=tenant.stopped_at,
        stop_ends_at=tenant.stop_ends_at,
    )

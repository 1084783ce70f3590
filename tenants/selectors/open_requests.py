"""The requests of all tenants that nobody has answered, the oldest first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from kernel.tenancy import in_public
from tenants.models import OpenRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequestLine:
    """`amount` of `unit` is what is asked for."""

    id: UUID
    slug: str
    tenant_name: str
    scope_path: str
    unit: str
    amount: int
    reason: str
    asked_by: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class OpenRequestPage:
    """`next_after` is the id to ask from for the next page, None on the last one."""

    requests: tuple[OpenRequestLine, ...]
    next_after: UUID | None


def open_request_count() -> int:
    with in_public():
        return OpenRequest.objects.count()


def open_request_page(*, after: UUID | None = None, limit: int) -> OpenRequestPage:
    """Requests in the order in which they were made, behind the one with the id `after`. At most two queries."""
    found = OpenRequest.objects.select_related("tenant").order_by("asked_at", "id")
    with in_public():
        if after is not None:
            last_at = OpenRequest.objects.filter(pk=after).values_list("asked_at", flat=True).first()
            # Answered meanwhile: then the page begins at the start again.
            if last_at is not None:
                found = found.filter(Q(asked_at__gt=last_at) | Q(asked_at=last_at, id__gt=after))
        rows = list(found[: limit + 1])
    lines = tuple(
        OpenRequestLine(
            id=row.id,
            slug=row.tenant.slug,
            tenant_name=row.tenant.name,
            scope_path=row.scope_path,
            unit=row.unit,
            amount=row.amount,
            reason=row.reason,
            asked_by=row.asked_by,
            asked_at=row.asked_at,
        )
        for row in rows[:limit]
    )
    return OpenRequestPage(requests=lines, next_after=lines[-1].id if len(rows) > limit else None)

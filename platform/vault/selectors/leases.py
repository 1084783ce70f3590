"""Leases that were handed out, in the schema that the connection is in."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from vault.locations import Location
from vault.models import CredentialLease, CredentialReference, ReferenceStatus
from vault.selectors.leasable import Leasable, active_by_id


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """One lease. `reference` is None once it was revoked, or leads elsewhere; `is_over`: nobody may use it any more.

    `store_lease_id` is empty where nothing was made for this lease alone, or nothing of it is left.
    """

    id: UUID
    decision_id: UUID
    name: str
    scope: str
    reference: Leasable | None
    is_of_previous: bool
    leased_at: datetime
    expires_at: datetime
    is_over: bool
    store_lease_id: str = field(repr=False)


def held_lease(lease_id: UUID, *, now: datetime) -> HeldLease | None:
    """Two queries."""
    lease = CredentialLease.objects.filter(pk=lease_id).first()
    if lease is None:
        return None
    reference = CredentialReference.objects.only("name", "scope").get(pk=lease.reference_id)
    found = active_by_id(lease.reference_id, now=now)
    location = Location(path=lease.path, key=lease.key, version=lease.version)
    is_of_previous = found is not None and location == found.previous and location != found.location
    if found is not None and location != found.location and not is_of_previous:
        found = None
    return HeldLease(
        id=lease.pk,
        decision_id=lease.decision_id,
        name=reference.name,
        scope=reference.scope,
        reference=found,
        is_of_previous=is_of_previous,
        leased_at=lease.leased_at,
        expires_at=lease.expires_at,
        is_over=lease.ended_at is not None or lease.expires_at <= now,
        store_lease_id=lease.store_lease_id,
    )


def live_leases(decision_id: UUID, *, now: datetime) -> int:
    """How many of the decision may be used now. One query."""
    return CredentialLease.objects.filter(decision_id=decision_id, ended_at=None, expires_at__gt=now).count()


def left_at_store(*, now: datetime, limit: int) -> list[tuple[UUID, str, datetime | None]]:
    """Leases that are over here and not there yet, or whose reference was revoked: id, the store's own id, its end.

    One query.
    """
    revoked = CredentialReference.objects.filter(pk=OuterRef("reference_id"), status=ReferenceStatus.REVOKED)
    over = Q(ended_at__isnull=False) | Q(expires_at__lte=now) | Exists(revoked)
    found = CredentialLease.objects.filter(over).exclude(store_lease_id="").order_by("store_ends_at", "pk")
    return list(found.values_list("pk", "store_lease_id", "store_ends_at")[:limit])


def forgettable(*, now: datetime, kept: timedelta, limit: int) -> list[UUID]:
    """Leases that have been over for so long, the oldest first. One query."""
    old = CredentialLease.objects.filter(expires_at__lt=now - kept, store_lease_id="")
    return list(old.order_by("expires_at").values_list("pk", flat=True)[:limit])

"""What a runtime may lease: the one active reference of a scope, and the place before it while both are good."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q

from vault.locations import Location
from vault.models import BackEnd, CredentialReference, ReferenceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Leasable:
    """One active reference. `previous` is None where there is no place before, or no more."""

    id: UUID
    name: str
    provider: str
    scope: str
    tools: str
    back_end: BackEnd
    location: Location
    expires_at: datetime | None
    previous: Location | None
    previous_until: datetime | None


def leasable(scope: str, *, now: datetime) -> Leasable | None:
    """The active reference that answers for `scope`, also one that has expired. One query."""
    reference = CredentialReference.objects.filter(scope=scope, status=ReferenceStatus.ACTIVE).first()
    return _leasable(reference, now=now) if reference else None


def active_by_id(reference_id: UUID, *, now: datetime) -> Leasable | None:
    """The reference with this id if it is active, also one that has expired. One query."""
    reference = CredentialReference.objects.filter(pk=reference_id, status=ReferenceStatus.ACTIVE).first()
    return _leasable(reference, now=now) if reference else None


def all_leasable(*, now: datetime, before: datetime, limit: int) -> tuple[Leasable, ...]:
    """The active references that were not looked at since `before`, the longest waiting first. One query."""
    found = CredentialReference.objects.filter(Q(checked_at=None) | Q(checked_at__lt=before))
    found = found.filter(status=ReferenceStatus.ACTIVE).order_by(F("checked_at").asc(nulls_first=True), "pk")
    return tuple(_leasable(reference, now=now) for reference in found[:limit])


def _leasable(reference: CredentialReference, *, now: datetime) -> Leasable:
    is_overlapping = reference.previous_until is not None and reference.previous_until > now
    return Leasable(
        id=reference.pk,
        name=reference.name,
        provider=reference.provider,
        scope=reference.scope,
        tools=reference.tools,
        back_end=BackEnd(reference.back_end),
        location=Location(path=reference.path, key=reference.key, version=reference.version),
        expires_at=reference.expires_at,
        previous=Location(path=reference.previous_path, key=reference.previous_key, version=reference.previous_version)
        if is_overlapping
        else None,
        previous_until=reference.previous_until if is_overlapping else None,
    )

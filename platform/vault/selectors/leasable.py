"""What a runtime may lease: the one active reference of a scope, and the place before it while both are good."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

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


def all_leasable(*, now: datetime, limit: int) -> tuple[Leasable, ...]:
    """The active references of the schema, those first that were not looked at for longest. Two queries at most."""
    found = CredentialReference.objects.filter(status=ReferenceStatus.ACTIVE).order_by("checked_at", "pk")
    # PostgreSQL puts what was never looked at last.
    never = list(found.filter(checked_at=None)[:limit])
    rest = list(found.exclude(checked_at=None)[: limit - len(never)]) if len(never) < limit else []
    return tuple(_leasable(reference, now=now) for reference in [*never, *rest])


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

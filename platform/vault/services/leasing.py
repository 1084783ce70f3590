"""Writing a lease down before the secret is handed out. Nothing of the secret is written."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from kernel.actor import Actor
from kernel.ids import uuid7
from telemetry.services import audit
from vault.kinds import Health
from vault.locations import Location
from vault.models import CredentialReference, ReferenceStatus
from vault.selectors.leasable import Leasable

#: How exact `checked_at` is.
NOTED_EVERY: Final = timedelta(seconds=10)


class LeaseOvertaken(Exception):
    """The reference was revoked or rotated while its secret was fetched: what was fetched is dropped."""


def record_lease(
    leased: Leasable,
    *,
    location: Location,
    version: str,
    decision_id: str,
    expires_at: datetime,
    actor: Actor,
    now: datetime,
) -> UUID:
    """The id of the lease, once its audit row stands. To be called before anybody sees the secret.

    Raises `LeaseOvertaken`.
    """
    lease_id = uuid7()
    with transaction.atomic():
        reference = CredentialReference.objects.select_for_update().filter(pk=leased.id).first()
        if reference is None or reference.status != ReferenceStatus.ACTIVE or not _leads_to(reference, location):
            raise LeaseOvertaken(leased.scope)
        reference.last_used_at = now
        reference.health, reference.checked_at = Health.GOOD, now
        reference.save(update_fields=["last_used_at", "health", "checked_at"])
        audit.record(
            actor=actor,
            action="credential.leased",
            target=f"{reference.name} {reference.scope}",
            at=now,
            after={
                "lease_id": str(lease_id),
                "decision_id": decision_id,
                "path": location.path,
                "version": version,
                "expires_at": expires_at.isoformat(),
            },
        )
    return lease_id


def note_health(reference_id: UUID, health: Health, *, location: Location, now: datetime) -> bool:
    """Keep what was found at `location`; whether that was news. One that leads elsewhere by now keeps its own."""
    found = CredentialReference.objects.filter(
        pk=reference_id,
        status=ReferenceStatus.ACTIVE,
        path=location.path,
        key=location.key,
        version=location.version,
    )
    # One row a while, however often the same is found.
    is_old = Q(checked_at=None) | Q(checked_at__lt=now - NOTED_EVERY)
    is_news = found.exclude(health=health).update(health=health, checked_at=now) > 0
    if not is_news:
        found.filter(is_old).update(checked_at=now)
    return is_news


def _leads_to(reference: CredentialReference, location: Location) -> bool:
    current = (reference.path, reference.key, reference.version)
    previous = (reference.previous_path, reference.previous_key, reference.previous_version)
    return (location.path, location.key, location.version) in {current, previous}

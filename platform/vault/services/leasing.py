"""Writing a lease down before the secret is handed out. Nothing of the secret is written."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from kernel.actor import Actor
from kernel.ids import uuid7
from telemetry.services import audit
from vault.kinds import Health
from vault.locations import Location
from vault.models import CredentialReference, ReferenceStatus
from vault.selectors.leasable import Leasable
from vault.services.checking import note_health


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
        reference.save(update_fields=["last_used_at"])
        note_health(reference.pk, Health.GOOD, location=location, actor=actor, now=now)
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


def _leads_to(reference: CredentialReference, location: Location) -> bool:
    current = (reference.path, reference.key, reference.version)
    previous = (reference.previous_path, reference.previous_key, reference.previous_version)
    return (location.path, location.key, location.version) in {current, previous}

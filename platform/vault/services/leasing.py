"""Writing a lease down before the secret is handed out. Nothing of the secret is written."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from kernel.actor import Actor
from telemetry.services import audit
from vault.backends.door import Fetched
from vault.kinds import Health
from vault.locations import Location
from vault.models import CredentialLease, CredentialReference, ReferenceStatus
from vault.selectors.leasable import Leasable
from vault.selectors.leases import live_leases
from vault.services.checking import note_health

#: Leases of one decision that live at once: more tools than that no step needs.
LIVE_MAX: Final = 16
# Of what is asked for one decision only one is written down at a time, so that two at once do not both find room.
_HOLD_DECISION: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class LeaseOvertaken(Exception):
    """The reference was revoked or rotated while its secret was fetched: what was fetched is dropped."""


class TooManyLeases(Exception):
    """`LIVE_MAX` leases of the decision live: one has to be given back first, or to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLease:
    """What a lease is of. `store_lease_id` and its end are empty where nothing was made for this lease alone."""

    reference: Leasable
    location: Location
    decision_uuid: UUID
    decision_id: str
    version: str
    expires_at: datetime
    store_lease_id: str = field(default="", repr=False)
    store_ends_at: datetime | None = None


def store_end(fetched: Fetched, *, now: datetime) -> datetime | None:
    """When the store ends what it made; None where it made nothing, or for good."""
    return now + timedelta(seconds=fetched.lease_seconds) if fetched.lease_seconds else None


def renewed_end(seconds: int, *, now: datetime) -> datetime:
    """When the store ends what it prolonged for so many seconds."""
    return now + timedelta(seconds=seconds)


def record_lease(lease: NewLease, *, actor: Actor, now: datetime) -> UUID:
    """The id of the lease, once its audit row stands. To be called before anybody sees the secret.

    Raises `LeaseOvertaken` or `TooManyLeases`.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_HOLD_DECISION, [lease.decision_id])
        if live_leases(lease.decision_uuid, now=now) >= LIVE_MAX:
            raise TooManyLeases
        reference = CredentialReference.objects.select_for_update().filter(pk=lease.reference.id).first()
        if reference is None or reference.status != ReferenceStatus.ACTIVE or not _leads_to(reference, lease.location):
            raise LeaseOvertaken(lease.reference.scope)
        reference.last_used_at = now
        reference.save(update_fields=["last_used_at"])
        note_health(reference.pk, Health.GOOD, location=lease.location, actor=actor, now=now)
        row = CredentialLease.objects.create(
            reference_id=reference.pk,
            decision_id=lease.decision_uuid,
            path=lease.location.path,
            key=lease.location.key,
            version=lease.location.version,
            leased_at=now,
            expires_at=lease.expires_at,
            store_lease_id=lease.store_lease_id,
            store_ends_at=lease.store_ends_at,
        )
        audit.record(
            actor=actor,
            action="credential.leased",
            target=f"{reference.name} {reference.scope}",
            at=now,
            after={
                "lease_id": str(row.pk),
                "decision_id": lease.decision_id,
                "path": lease.location.path,
                "version": lease.version,
                "expires_at": lease.expires_at.isoformat(),
            },
        )
    return row.pk


def _leads_to(reference: CredentialReference, location: Location) -> bool:
    current = (reference.path, reference.key, reference.version)
    previous = (reference.previous_path, reference.previous_key, reference.previous_version)
    return (location.path, location.key, location.version) in {current, previous}

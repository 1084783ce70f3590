"""What becomes of leases: they are prolonged, given back, and ended at the store once nobody may use them any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit
from vault.backends.door import FetchFailed
from vault.kinds import Health
from vault.models import CredentialLease, CredentialReference, ReferenceStatus
from vault.selectors.leases import HeldLease, forgettable, left_at_store
from vault.services.fetching import end_at_store
from vault.services.leasing import LeaseOvertaken

#: A lease that is over is known for so long; the audit trail has it for good.
KEPT: Final = timedelta(days=7)
_ENDED_MAX: Final = 100
_FORGOTTEN_MAX: Final = 1_000


def note_prolonging(lease_id: UUID, *, until: datetime) -> None:
    """The store is about to be asked to keep it until then, so before that it is not taken to be gone there.

    To be called first: what is told afterwards may be told by nobody.
    """
    CredentialLease.objects.filter(pk=lease_id, store_ends_at__lt=until).update(store_ends_at=until)


def prolong(
    lease: HeldLease, *, expires_at: datetime, store_ends_at: datetime | None, actor: Actor, now: datetime
) -> None:
    """Let the lease last until then. Raises `LeaseOvertaken` where it, or its reference, ended meanwhile."""
    with transaction.atomic():
        row = CredentialLease.objects.select_for_update().get(pk=lease.id)
        reference = CredentialReference.objects.select_for_update().get(pk=row.reference_id)
        if row.ended_at is not None or row.expires_at <= now or reference.status != ReferenceStatus.ACTIVE:
            raise LeaseOvertaken(lease.scope)
        before, row.expires_at = row.expires_at, expires_at
        row.store_ends_at = store_ends_at
        row.renewals += 1
        row.save(update_fields=["expires_at", "store_ends_at", "renewals"])
        reference.last_used_at = now
        reference.save(update_fields=["last_used_at"])
        audit.record(
            actor=actor,
            action="credential.renewed",
            target=f"{lease.name} {lease.scope}",
            at=now,
            before={"lease_id": str(lease.id), "expires_at": before.isoformat()},
            after={"lease_id": str(lease.id), "expires_at": expires_at.isoformat()},
        )


def give_back(lease: HeldLease, *, actor: Actor, now: datetime) -> bool:
    """Nobody uses it any more; whether somebody might have. Safe to repeat. The store is told afterwards."""
    with transaction.atomic():
        row = CredentialLease.objects.select_for_update().get(pk=lease.id)
        if row.ended_at is not None or row.expires_at <= now:
            return False
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        audit.record(
            actor=actor,
            action="credential.given_back",
            target=f"{lease.name} {lease.scope}",
            at=now,
            before={"expires_at": row.expires_at.isoformat()},
            after={"lease_id": str(lease.id)},
        )
    return True


def end_left_at_store(*, tag: Tag, has_time: Callable[[], bool]) -> int:
    """End at the store what is over here, and forget what has long been over; how many were ended. Safe to repeat.

    No connection is used while a store is asked. A store that does not answer is asked again at the next visit, until
    it has ended the lease by itself.
    """
    now = datetime.now(UTC)
    with in_tenant(tag):
        left = left_at_store(now=now, limit=_ENDED_MAX)
    ended = 0
    for lease_id, store_lease_id, store_ends_at in left:
        if not has_time():
            break
        is_gone = store_ends_at is not None and store_ends_at <= datetime.now(UTC)
        left_by = None if is_gone else told_store(tag=tag, store_lease_id=store_lease_id)
        if left_by == Health.FORBIDDEN:
            continue
        if left_by is not None:
            break
        with in_tenant(tag):
            note_ended_at_store(lease_id)
        ended += 1
    with in_tenant(tag):
        CredentialLease.objects.filter(pk__in=forgettable(now=now, kept=KEPT, limit=_FORGOTTEN_MAX)).delete()
    return ended


def told_store(*, tag: Tag, store_lease_id: str) -> Health | None:
    """None where nothing of the lease is left at the store; else why that is not known."""
    try:
        end_at_store(tag=tag, store_lease_id=store_lease_id)
    except FetchFailed as failure:
        return None if failure.health == Health.NOT_THERE else failure.health
    return None


def note_ended_at_store(lease_id: UUID) -> None:
    """Nothing is left there to be ended."""
    CredentialLease.objects.filter(pk=lease_id).update(store_lease_id="")

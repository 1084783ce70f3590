"""Looking whether references lead to something: by the worker, without taking the secret along, and after a failure."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox
from vault.kinds import Health
from vault.locations import Location
from vault.models import CredentialReference, ReferenceStatus
from vault.selectors.leasable import all_leasable
from vault.services.fetching import probe

#: Each active reference is looked at about this often.
CHECKED_EVERY: Final = timedelta(minutes=5)
_LOOKED_AT_MAX: Final = 200
#: What is found again and again is written once in this time.
_NOTED_EVERY: Final = timedelta(seconds=10)
_WORKER: Final = Actor(name="credential checks", actor_type="scheduler", reason="The regular look")


def check_references(*, tag: Tag, has_time: Callable[[], bool]) -> int:
    """Look at the tenant's references, those first that nobody looked at for longest; how many it was. Safe to repeat.

    No connection is used while a store is asked.
    """
    now = datetime.now(UTC)
    with in_tenant(tag):
        found = all_leasable(now=now, before=now - CHECKED_EVERY, limit=_LOOKED_AT_MAX)
    looked_at = 0
    for reference in found:
        if not has_time():
            break
        health = probe(tag=tag, back_end=reference.back_end, location=reference.location)
        with in_tenant(tag):
            note_health(reference.id, health, location=reference.location, actor=_WORKER, now=datetime.now(UTC))
        looked_at += 1
    return looked_at


def note_health(reference_id: UUID, health: Health, *, location: Location, actor: Actor, now: datetime) -> bool:
    """Keep what was found at `location`, and tell of it where it is news; whether it was.

    A reference that leads elsewhere by now, or was revoked, keeps what it has. Good for the first time is no news.
    """
    with transaction.atomic():
        reference = CredentialReference.objects.select_for_update().filter(pk=reference_id).first()
        if reference is None or reference.status != ReferenceStatus.ACTIVE or not _leads_to(reference, location):
            return False
        before = Health(reference.health)
        is_fresh = reference.checked_at is not None and reference.checked_at > now - _NOTED_EVERY
        if before == health and is_fresh:
            return False
        reference.health, reference.checked_at = health, now
        reference.save(update_fields=["health", "checked_at"])
        if before == health or (before == Health.UNKNOWN and health == Health.GOOD):
            return False
        _tell(reference, before=before, health=health, actor=actor, now=now)
    return True


def _leads_to(reference: CredentialReference, location: Location) -> bool:
    return (reference.path, reference.key, reference.version) == (location.path, location.key, location.version)


def _tell(reference: CredentialReference, *, before: Health, health: Health, actor: Actor, now: datetime) -> None:
    audit.record(
        actor=actor,
        action="credential.health_changed",
        target=f"{reference.name} {reference.scope}",
        at=now,
        before={"health": before.value},
        after={"health": health.value},
    )
    facts = {
        "reference_id": str(reference.pk),
        "name": reference.name,
        "scope": reference.scope,
        "health": health.value,
        "previous_health": before.value,
    }
    event = outbox.Event(event_type="custom.credential.health_changed", content=facts)
    outbox.announce(event, actor=actor, at=now)

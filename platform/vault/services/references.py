"""Credential references are added, rotated and revoked here, in the tenant's schema that the connection is in.

Each change writes an audit row and an outbox row in its own transaction. Neither holds more than the reference.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from kernel.actor import Actor
from telemetry.services import audit, outbox
from vault.kinds import BackEnd
from vault.locations import Location
from vault.models import CredentialReference, Health, ReferenceStatus
from vault.services.reference_checks import InvalidReference, NewReference, check_location, check_new

OVERLAP_DEFAULT: Final = timedelta(hours=24)
OVERLAP_MAX: Final = timedelta(days=7)
#: Of one tenant, revoked ones not counted.
REFERENCES_MAX: Final = 200


class ReferenceNotFound(Exception):
    """No reference with this id here."""


class ReferenceIsRevoked(Exception):
    """A revoked reference stays revoked."""


class ReferenceChanged(Exception):
    """Somebody rotated it since it was looked at."""


class BackEndRefused(Exception):
    """Whoever asks may not say where a reference of this back end leads: an operator has bound it."""


class OverlapTooLong(Exception):
    """The place before a rotation may be asked for `OVERLAP_MAX` at most, and not for less than no time."""


def add_reference(
    new: NewReference, *, allowed: Collection[BackEnd], actor: Actor, now: datetime
) -> CredentialReference:
    """A new reference. `allowed` are the back ends that whoever adds it may bind.

    A second one with the name or the scope of an active one is refused. Raises `InvalidReference`.
    """
    check_new(new, allowed=allowed, now=now)
    with transaction.atomic():
        _hold_table()
        active = list(CredentialReference.objects.filter(status=ReferenceStatus.ACTIVE).values_list("name", "scope"))
        if len(active) >= REFERENCES_MAX:
            raise InvalidReference("name", f"There are {REFERENCES_MAX} references already. Revoke one first.")
        if any(name == new.name for name, _ in active):
            raise InvalidReference("name", "There is an active reference with this name. Rotate or revoke that one.")
        if any(scope == new.scope for _, scope in active):
            raise InvalidReference("scope", "There is an active reference for this scope. Rotate or revoke that one.")
        reference = CredentialReference.objects.create(
            name=new.name,
            provider=new.provider,
            scope=new.scope,
            tools=new.tool_pattern,
            back_end=new.back_end,
            path=new.location.path,
            key=new.location.key,
            version=new.location.version,
            note=new.note,
            created_at=now,
            expires_at=new.expires_at,
        )
        after = {"provider": new.provider, "tools": new.tool_pattern, "note": new.note, **_place(reference)}
        _write_down(reference, "credential.added", actor=actor, now=now, after=after)
    return reference


def rotate_reference(
    *,
    reference_id: UUID,
    to: Location,
    allowed: Collection[BackEnd],
    seen: Location | None = None,
    overlap: timedelta = OVERLAP_DEFAULT,
    actor: Actor,
    now: datetime,
) -> CredentialReference:
    """Let the reference lead to another place or version. A lease may ask for the one before until `overlap` is over.

    `allowed` are the back ends that whoever rotates it may bind; `seen` is where it led when somebody looked. Safe to
    repeat: leading where it leads already changes nothing. Raises `ReferenceNotFound`, `ReferenceIsRevoked`,
    `BackEndRefused`, `ReferenceChanged`, `OverlapTooLong` or `InvalidReference`.
    """
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise OverlapTooLong
    with transaction.atomic():
        reference = _locked(reference_id)
        if reference.status == ReferenceStatus.REVOKED:
            raise ReferenceIsRevoked(reference.name)
        if reference.back_end not in allowed:
            raise BackEndRefused(reference.back_end)
        current = location_of(reference)
        if current == to:
            return reference
        if seen is not None and seen != current:
            raise ReferenceChanged(reference.name)
        check_location(BackEnd(reference.back_end), to)
        before = _place(reference)
        reference.previous_path = current.path if overlap else ""
        reference.previous_key = current.key if overlap else ""
        reference.previous_version = current.version if overlap else ""
        reference.previous_until = now + overlap if overlap else None
        reference.path, reference.key, reference.version = to.path, to.key, to.version
        reference.rotated_at = now
        reference.health, reference.checked_at = Health.UNKNOWN, None
        reference.save()
        after = _place(reference) | {
            "previous_until": reference.previous_until.isoformat() if reference.previous_until else None
        }
        _write_down(reference, "credential.rotated", actor=actor, now=now, before=before, after=after)
    return reference


def revoke_reference(*, reference_id: UUID, actor: Actor, now: datetime) -> CredentialReference:
    """No lease of this reference from now on; others are untouched. Safe to repeat. Raises `ReferenceNotFound`."""
    with transaction.atomic():
        reference = _locked(reference_id)
        if reference.status == ReferenceStatus.ACTIVE:
            reference.status, reference.revoked_at = ReferenceStatus.REVOKED, now
            reference.save(update_fields=["status", "revoked_at"])
            _write_down(
                reference,
                "credential.revoked",
                actor=actor,
                now=now,
                before={"status": ReferenceStatus.ACTIVE},
                after={"status": ReferenceStatus.REVOKED},
            )
    return reference


def location_of(reference: CredentialReference) -> Location:
    """Where the reference leads now."""
    return Location(path=reference.path, key=reference.key, version=reference.version)


def _hold_table() -> None:
    # Two who add at once: the second one sees what the first one added. Readers are not kept waiting.
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE credential_reference IN SHARE ROW EXCLUSIVE MODE")


def _locked(reference_id: UUID) -> CredentialReference:
    reference = CredentialReference.objects.select_for_update().filter(pk=reference_id).first()
    if reference is None:
        raise ReferenceNotFound(str(reference_id))
    return reference


def _place(reference: CredentialReference) -> dict[str, object]:
    return {
        "back_end": reference.back_end,
        "path": reference.path,
        "key": reference.key,
        "version": reference.version,
    }


def _write_down(
    reference: CredentialReference,
    action: str,
    *,
    actor: Actor,
    now: datetime,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object],
) -> None:
    target = f"{reference.name} {reference.scope}"
    audit.record(actor=actor, action=action, target=target, at=now, before=before, after=after)
    facts = {"reference_id": str(reference.pk), "name": reference.name, "scope": reference.scope}
    outbox.announce(outbox.Event(event_type=f"custom.{action}", content=facts), actor=actor, at=now)

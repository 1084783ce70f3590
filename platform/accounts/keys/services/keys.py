"""API keys are made, rotated and revoked here: in a tenant's schema for a tenant, in `public` for the platform.

Every function works in the schema that the connection is in. A change counts from the next transaction on, because
whoever checks a key reads its row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts.keys.models import ApiKey, KeyStatus, Permission
from accounts.keys.tokens import MintedKey, mint_key, mint_secret
from kernel.actor import Actor
from kernel.ids import PLATFORM_TAG, Tag
from telemetry.services import audit, outbox

LIFETIME_DEFAULT: Final = timedelta(days=365)
OVERLAP_DEFAULT: Final = timedelta(hours=24)
OVERLAP_MAX: Final = timedelta(days=7)
PLATFORM_PERMISSIONS: Final = frozenset({Permission.PLATFORM_READ, Permission.PLATFORM_WRITE})
TENANT_PERMISSIONS: Final = frozenset(Permission) - PLATFORM_PERMISSIONS


class PermissionNotGrantable(Exception):
    """No permission at all, one that does not exist, or one of the other kind: platform or tenant."""


class ExpiryInThePast(Exception):
    """The key would be born expired."""


class OverlapTooLong(Exception):
    """After a rotation the secret before it may work for `OVERLAP_MAX` at most, and not for less than no time."""


class KeyNotFound(Exception):
    """No key with this id here."""


class KeyIsRevoked(Exception):
    """A revoked key stays revoked."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key with its token, which is shown to its owner once and stored nowhere."""

    key: ApiKey
    token: str = field(repr=False)


def create_key(
    *,
    tag: Tag,
    name: str,
    permissions: Sequence[str],
    scope_filter: Sequence[str] = (),
    expires_at: datetime | None,
    actor: Actor,
    now: datetime,
) -> IssuedKey:
    """A new key of the tenant `tag`, or of the platform. `expires_at` None means that it does not expire.

    Raises `PermissionNotGrantable` or `ExpiryInThePast`.
    """
    grantable = PLATFORM_PERMISSIONS if tag == PLATFORM_TAG else TENANT_PERMISSIONS
    if not permissions or not grantable.issuperset(permissions):
        raise PermissionNotGrantable
    if expires_at is not None and expires_at <= now:
        raise ExpiryInThePast
    minted = mint_key(tag)
    with transaction.atomic():
        key = ApiKey.objects.create(
            key_id=minted.key_id,
            name=name,
            digest=minted.digest,
            pepper_version=minted.pepper_version,
            permissions=sorted(set(permissions)),
            scope_filter=sorted(set(scope_filter)),
            created_at=now,
            expires_at=expires_at,
        )
        _write_down(key, "api_key.created", actor=actor, now=now, after=_facts(key))
    return IssuedKey(key=key, token=minted.token)


def rotate_key(
    *, tag: Tag, key_id: str, overlap: timedelta = OVERLAP_DEFAULT, actor: Actor, now: datetime
) -> IssuedKey:
    """A new secret for the key. The secret before it works until `overlap` has passed, one older than that no more.

    Not safe to repeat: each call makes another secret. Raises `KeyNotFound`, `KeyIsRevoked` or `OverlapTooLong`.
    """
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise OverlapTooLong
    with transaction.atomic():
        key = _locked(key_id)
        if key.status == KeyStatus.REVOKED:
            raise KeyIsRevoked(key_id)
        minted = mint_secret(tag, key_id)
        _replace_secret(key, minted, previous_expires_at=now + overlap if overlap else None)
        after = {"previous_expires_at": key.previous_expires_at.isoformat() if key.previous_expires_at else None}
        _write_down(key, "custom.api_key.rotated", actor=actor, now=now, after=after)
    return IssuedKey(key=key, token=minted.token)


def revoke_key(*, key_id: str, actor: Actor, now: datetime) -> ApiKey:
    """End a key at once, with both of its secrets. Safe to repeat. Raises `KeyNotFound`."""
    with transaction.atomic():
        key = _locked(key_id)
        if key.status == KeyStatus.ACTIVE:
            _revoke(key, now=now)
            facts = {"previous_status": KeyStatus.ACTIVE, "new_status": KeyStatus.REVOKED}
            _write_down(key, "api_key.revoked", actor=actor, now=now, after=facts, content=facts)
    return key


def revoke_every_key(*, actor: Actor, now: datetime) -> int:
    """End every key of the schema, because somebody says so; how many there were. Safe to repeat."""
    with transaction.atomic():
        keys = ApiKey.objects.select_for_update().filter(status=KeyStatus.ACTIVE).order_by("key_id")
        return sum(revoke_key(key_id=key.key_id, actor=actor, now=now).revoked_at == now for key in list(keys))


def revoke_all_keys(*, actor: Actor, now: datetime) -> int:
    """End every key of the schema, because its tenant is closed; how many there were. Safe to repeat."""
    with transaction.atomic():
        keys = list(ApiKey.objects.select_for_update().filter(status=KeyStatus.ACTIVE).order_by("key_id"))
        for key in keys:
            _revoke(key, now=now)
            audit.record(actor=actor, action="api_key.revoked", target=key.key_id, at=now)
        outbox.announce_all(
            (
                outbox.Event(
                    event_type="api_key.revoked_via_tenant_cascade",
                    content={
                        "key_id": key.key_id,
                        "name": key.name,
                        "prior_status": KeyStatus.ACTIVE,
                        "new_status": KeyStatus.REVOKED,
                        "cascade_reason": "tenant_closed",
                    },
                )
                for key in keys
            ),
            actor=actor,
            at=now,
        )
    return len(keys)


def _locked(key_id: str) -> ApiKey:
    key = ApiKey.objects.select_for_update().filter(key_id=key_id).first()
    if key is None:
        raise KeyNotFound(key_id)
    return key


def _replace_secret(key: ApiKey, minted: MintedKey, *, previous_expires_at: datetime | None) -> None:
    key.previous_digest = key.digest if previous_expires_at is not None else None
    key.previous_expires_at = previous_expires_at
    key.digest = minted.digest
    key.pepper_version = minted.pepper_version
    key.save(update_fields=["digest", "pepper_version", "previous_digest", "previous_expires_at"])


def _revoke(key: ApiKey, *, now: datetime) -> None:
    key.status = KeyStatus.REVOKED
    key.revoked_at = now
    key.save(update_fields=["status", "revoked_at"])


def _facts(key: ApiKey) -> dict[str, object]:
    return {
        "name": key.name,
        "permissions": key.permissions,
        "scope_filter": key.scope_filter,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }


def _write_down(
    key: ApiKey,
    event_type: str,
    *,
    actor: Actor,
    now: datetime,
    after: Mapping[str, object],
    content: Mapping[str, object] | None = None,
) -> None:
    action = event_type.removeprefix("custom.")
    audit.record(actor=actor, action=action, target=key.key_id, at=now, after=after)
    facts = {"key_id": key.key_id, "key_name": key.name, "permissions": key.permissions, **(content or {})}
    outbox.announce(outbox.Event(event_type=event_type, content=facts), actor=actor, at=now)

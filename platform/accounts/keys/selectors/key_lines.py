"""API keys for a list, without anything that is secret or made from a secret."""

from dataclasses import dataclass
from datetime import datetime

from accounts.keys.models import ApiKey, KeyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLine:
    """One key. Empty `scopes` mean the whole tenant."""

    key_id: str
    name: str
    permissions: tuple[str, ...]
    scopes: tuple[str, ...]
    status: KeyStatus
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    previous_expires_at: datetime | None

    def is_usable(self, *, now: datetime) -> bool:
        return self.status == KeyStatus.ACTIVE and (self.expires_at is None or self.expires_at > now)


def key_lines(*, limit: int) -> tuple[KeyLine, ...]:
    """The newest keys of the schema that the connection is in; digests never leave the database. One query."""
    keys = ApiKey.objects.order_by("-created_at", "key_id").defer("digest", "previous_digest", "pepper_version")
    return tuple(_line(key) for key in keys[:limit])


def _line(key: ApiKey) -> KeyLine:
    return KeyLine(
        key_id=key.key_id,
        name=key.name,
        permissions=tuple(key.permissions),
        scopes=tuple(key.scope_filter),
        status=KeyStatus(key.status),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        previous_expires_at=key.previous_expires_at,
    )

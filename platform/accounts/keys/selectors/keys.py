"""API keys as they stand, in the schema that the connection is in."""

import hmac
from dataclasses import dataclass
from typing import Final

from django.db.models import DateTimeField, Func, QuerySet

from accounts.keys.models import ApiKey, KeyStatus
from accounts.keys.tokens import ParsedKey

_NO_DIGEST: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class VerifiedKey:
    """A key whose secret was shown and is good now. An empty `scope_filter` confines it to nothing."""

    key_id: str
    name: str
    permissions: frozenset[str]
    scope_filter: tuple[str, ...]


def keys() -> QuerySet[ApiKey]:
    """All keys, revoked ones too."""
    return ApiKey.objects.all()


def key_by_id(key_id: str) -> ApiKey | None:
    return ApiKey.objects.filter(key_id=key_id).first()


def verified_key(parsed: ParsedKey) -> VerifiedKey | None:
    """The key that `parsed` shows, or None: unknown, revoked, expired, another secret. All of these cost the same."""
    clock = Func(function="clock_timestamp", output_field=DateTimeField())
    row = ApiKey.objects.filter(key_id=parsed.key_id).annotate(clock=clock).first()
    digest, previous_digest = (row.digest, row.previous_digest) if row is not None else (None, None)
    is_current = hmac.compare_digest(bytes(digest or _NO_DIGEST), parsed.digest)
    is_previous = hmac.compare_digest(bytes(previous_digest or _NO_DIGEST), parsed.digest)
    if row is None or row.status != KeyStatus.ACTIVE:
        return None
    now = row.clock
    if row.expires_at is not None and row.expires_at <= now:
        return None
    if not is_current and not (is_previous and row.previous_expires_at is not None and row.previous_expires_at > now):
        return None
    return VerifiedKey(
        key_id=row.key_id,
        name=row.name,
        permissions=frozenset(row.permissions),
        scope_filter=tuple(row.scope_filter),
    )

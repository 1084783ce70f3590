"""API keys for a list, without anything that is secret or made from a secret."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min, Q

from accounts.keys.models import ApiKey, KeyStatus
from kernel.tenancy import in_public

_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{16}")


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


def keys_expiring(*, until: datetime, now: datetime, limit: int) -> tuple[KeyLine, ...]:
    """Keys that work and expire until then, the first to expire first. One query."""
    keys = ApiKey.objects.filter(status=KeyStatus.ACTIVE, expires_at__gt=now, expires_at__lte=until)
    keys = keys.defer("digest", "previous_digest", "pepper_version").order_by("expires_at", "key_id")
    return tuple(_line(key) for key in keys[:limit])


def next_expiry_behind(spans: Sequence[timedelta], *, now: datetime) -> datetime | None:
    """The next moment at which a working key has only one of these spans left; None without any. One query."""
    if not spans:
        return None
    wanted = {
        f"within_{number}": Min("expires_at", filter=Q(expires_at__gt=now + span)) for number, span in enumerate(spans)
    }
    found = ApiKey.objects.filter(status=KeyStatus.ACTIVE).aggregate(**wanted)
    times = [
        found[f"within_{number}"] - span for number, span in enumerate(spans) if found[f"within_{number}"] is not None
    ]
    return min(times, default=None)


def key_names(words: Iterable[str], *, and_platform: bool = False) -> Mapping[str, str]:
    """The names of the keys of this schema among these words, by their ids; whoever has none is left out.

    `and_platform`: of the platform's as well, which act in a tenant's place. One query each, and none where no word can
    be a key's id.
    """
    wanted = {word for word in words if _KEY_ID.fullmatch(word)}
    if not wanted:
        return {}
    names = dict(ApiKey.objects.filter(key_id__in=wanted).exclude(name="").values_list("key_id", "name"))
    if and_platform:
        with in_public():
            names = {**key_names(wanted), **names}
    return names


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

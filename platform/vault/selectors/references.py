"""Credential references for lists: where a secret lives, whether it is reachable, when it was last handed out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Min, Q

from kernel.across import rows_across
from kernel.ids import Tag
from vault.models import BackEnd, CredentialReference, Health, ReferenceStatus

__all__ = [
    "BackEnd",
    "Health",
    "Place",
    "ReferenceLine",
    "known_places",
    "next_reference_expiry_behind",
    "reference_by_id",
    "reference_lines",
    "references_across",
    "references_expiring",
]

_FIELDS: Final = (
    *("id", "name", "provider", "scope", "tools", "back_end", "path", "key", "version", "note", "status"),
    *("created_at", "expires_at", "revoked_at", "rotated_at", "previous_until", "last_used_at", "health", "checked_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLine:
    """One reference. `path` is the template as it was saved; empty `key` and `version` mean all fields, the newest."""

    id: UUID
    name: str
    provider: str
    scope: str
    tools: str
    back_end: BackEnd
    path: str
    key: str
    version: str
    note: str
    is_revoked: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None
    previous_until: datetime | None
    last_used_at: datetime | None
    health: Health
    checked_at: datetime | None

    def health_now(self, *, now: datetime) -> Health:
        """As the worker found it, but what is over is over at once."""
        return Health.EXPIRED if self.expires_at is not None and self.expires_at <= now else self.health


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a reference leads to, or led to before it was rotated; `path` is the template."""

    name: str
    back_end: BackEnd
    path: str


def known_places() -> list[Place]:
    """Of every reference in the connection's schema, revoked ones too. One query."""
    rows = CredentialReference.objects.order_by("pk").values_list("name", "back_end", "path", "previous_path")
    return [
        Place(name, BackEnd(back_end), path)
        for name, back_end, current, previous in rows
        for path in dict.fromkeys((current, previous))
        if path
    ]


def references_expiring(*, until: datetime, now: datetime, limit: int) -> tuple[ReferenceLine, ...]:
    """Active ones that expire until then, the first to expire first. One query."""
    found = CredentialReference.objects.filter(
        status=ReferenceStatus.ACTIVE, expires_at__gt=now, expires_at__lte=until
    ).order_by("expires_at", "pk")
    return tuple(_line(row) for row in found.values(*_FIELDS)[:limit])


def next_reference_expiry_behind(spans: Sequence[timedelta], *, now: datetime) -> datetime | None:
    """The next moment at which an active one has only one of these spans left; None without any. One query."""
    if not spans:
        return None
    wanted = {
        f"within_{number}": Min("expires_at", filter=Q(expires_at__gt=now + span)) for number, span in enumerate(spans)
    }
    found = CredentialReference.objects.filter(status=ReferenceStatus.ACTIVE).aggregate(**wanted)
    times = [found[f"within_{number}"] - span for number, span in enumerate(spans) if found[f"within_{number}"]]
    return min(times, default=None)


def reference_lines(*, limit: int) -> tuple[ReferenceLine, ...]:
    """Those of the connection's schema: active ones by name, then revoked ones, newest first. One query."""
    rows = CredentialReference.objects.order_by("status", "-revoked_at", "name", "pk").values(*_FIELDS)
    return tuple(_line(row) for row in rows[:limit])


def reference_by_id(reference_id: UUID) -> ReferenceLine | None:
    row = CredentialReference.objects.filter(pk=reference_id).values(*_FIELDS).first()
    return _line(row) if row else None


def references_across(
    tags: Sequence[Tag], *, health: str = "", search: str = "", limit: int
) -> dict[str, tuple[ReferenceLine, ...]]:
    """The active references of these tenants by tag, at most `limit` of each. One query for all of them.

    `health` narrows to one state, `search` to names, scopes, providers and paths that contain it.
    """
    found: dict[str, tuple[ReferenceLine, ...]] = {}
    parameters = {"health": health, "search": search.lower(), "limit": limit}
    for row in rows_across("vault", "references_across", tags, parameters):
        tag = row.pop("tag")
        found[tag] = (*found.get(tag, ()), _line(row))
    return found


def _line(row: Mapping[str, Any]) -> ReferenceLine:
    known = {name: row[name] for name in _FIELDS if name not in {"status", "back_end", "health"}}
    return ReferenceLine(
        **known,
        back_end=BackEnd(row["back_end"]),
        health=Health(row["health"]),
        is_revoked=row["status"] == ReferenceStatus.REVOKED,
    )

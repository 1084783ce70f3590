"""Writing the audit trail: one row for each change, in the transaction of the change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kernel.actor import Actor
from telemetry.models import AuditEntry

_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was done to what. `before` and `after` are JSON without any secret."""

    action: str
    target: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def record(
    *,
    actor: Actor,
    action: str,
    target: str,
    at: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Who did what to what, in the schema of the connection. `before` and `after` are JSON without any secret."""
    _entry(Change(action=action, target=target, before=before, after=after), actor, at).save(force_insert=True)


def record_all(changes: Iterable[Change], *, actor: Actor, at: datetime) -> None:
    """As `record`, of many changes in few statements."""
    AuditEntry.objects.bulk_create((_entry(change, actor, at) for change in changes), batch_size=_BATCH)


def _entry(change: Change, actor: Actor, at: datetime) -> AuditEntry:
    return AuditEntry(
        at=at,
        actor_type=actor.actor_type,
        actor=actor.name,
        action=change.action,
        target=change.target,
        reason=actor.reason,
        before=change.before,
        after=change.after,
        request_id=actor.request_id,
        trace_id=actor.trace_id,
        source_ip=actor.source_ip,
    )

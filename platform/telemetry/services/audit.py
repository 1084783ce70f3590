"""Writing the audit trail: one row for each change, in the transaction of the change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kernel.actor import Actor
from telemetry.models import AuditEntry


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
    AuditEntry.objects.create(
        at=at,
        actor_type=actor.actor_type,
        actor=actor.name,
        action=action,
        target=target,
        reason=actor.reason,
        before=before,
        after=after,
        request_id=actor.request_id,
        trace_id=actor.trace_id,
        source_ip=actor.source_ip,
    )

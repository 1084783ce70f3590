"""Filling the outbox: what others must be told, in the transaction of its cause. A worker delivers it later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from kernel.actor import Actor
from telemetry.models import OutboxEvent

_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened: the protocol's dotted name, and `content` in the shape that the protocol gives for it.

    Events with the same `correlation_id` belong together.
    """

    event_type: str
    content: Mapping[str, Any]
    scope_path: str = ""
    correlation_id: str = ""


def announce(*events: Event, actor: Actor, at: datetime) -> None:
    """Put events into the outbox of the schema that the connection is in."""
    announce_all(events, actor=actor, at=at)


def announce_all(events: Iterable[Event], *, actor: Actor, at: datetime) -> None:
    """As `announce`. The payload has the parts `actor`, `data` and `correlation_id` of the protocol's Event."""
    caller = {"type": actor.actor_type}
    if actor.actor_type != "system":
        caller["key_id"] = actor.name
    if actor.source_ip:
        caller["source_ip"] = actor.source_ip
    written = [
        OutboxEvent(
            at=at,
            event_type=event.event_type,
            scope_path=event.scope_path,
            payload={"actor": caller, "data": dict(event.content)}
            | ({"correlation_id": event.correlation_id} if event.correlation_id else {}),
            request_id=actor.request_id,
            trace_id=actor.trace_id,
        )
        for event in events
    ]
    if not written:
        return
    with transaction.atomic(savepoint=False):
        with connection.cursor() as cursor:
            # Whoever follows the events waits for a missing number until all that had begun have ended. So a
            # transaction begins, in the database's count, before it takes a number: else it would pass unseen.
            cursor.execute("SELECT pg_current_xact_id()")
        OutboxEvent.objects.bulk_create(written, batch_size=_BATCH)

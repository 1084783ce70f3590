"""Events in the protocol's form, the same bytes at every attempt to deliver them."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from kernel.ids import mint_wire_id
from telemetry.event_names import category_of, wire_name
from telemetry.event_owner import Owner
from telemetry.models import OutboxEvent

_SOURCE: Final = "watermaster"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def event_facts(event: OutboxEvent, owner: Owner) -> dict[str, Any]:
    """The protocol's Event; what is unknown is left out."""
    facts: dict[str, Any] = {
        "event_id": mint_wire_id("evt", owner.tag, event.id),
        "event_type": wire_name(event.event_type),
        "category": category_of(event.event_type),
        "timestamp": wire_time(event.at),
        "tenant_id": owner.tenant_id,
        "source": _SOURCE,
        "trace_id": trace_of(event),
    }
    optional = {
        "scope": event.scope_path,
        "actor": event.payload.get("actor"),
        "data": event.payload.get("data"),
        "correlation_id": event.payload.get("correlation_id"),
        "request_id": event.request_id,
    }
    return facts | {name: value for name, value in optional.items() if value}


def event_body(event: OutboxEvent, owner: Owner) -> str:
    """The Event as JSON, its keys in one order."""
    return encoded(event_facts(event, owner))


def encoded(facts: dict[str, Any]) -> str:
    return _ENCODER.encode(facts).decode()


def trace_of(event: OutboxEvent) -> str:
    """The trace that the event is part of; one of its own, by its id, where no request caused it."""
    return event.trace_id or event.id.hex


def wire_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def last_of_wire_time(at: datetime) -> datetime:
    """The last moment that `wire_time` writes as it writes this one."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000 + 999)

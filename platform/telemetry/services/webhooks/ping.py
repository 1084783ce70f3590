"""A test message to one receiver: straight to it, at once, counted nowhere."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from kernel.actor import Actor
from kernel.ids import mint_wire_id, uuid7
from telemetry.event_names import TEST_EVENT, category_of
from telemetry.event_owner import Owner
from telemetry.models import WebhookSubscription
from telemetry.selectors.events import encoded, wire_time
from telemetry.services import audit, outbox
from telemetry.services.webhooks.attempts import Sender
from telemetry.services.webhooks.subscriptions import subscription_id
from telemetry.services.webhooks.wire import Answered

_EVENT: Final = "custom.webhook.tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """What came of it. `error` is a sentence, empty on success."""

    event_id: str
    is_success: bool
    response_status: int | None
    response_time_ms: int | None
    error: str


def note_ping(subscription: WebhookSubscription, *, owner: Owner, actor: Actor, now: datetime) -> None:
    """Say who has a test sent and why, in the owner's schema, before it is sent."""
    wire_id = subscription_id(subscription, owner)
    with transaction.atomic():
        audit.record(actor=actor, action="webhook.tested", target=wire_id, at=now)
        event = outbox.Event(event_type=_EVENT, content={"subscription_id": wire_id})
        outbox.announce(event, actor=actor, at=now)


def ping(subscription: WebhookSubscription, *, owner: Owner, now: datetime) -> Pinged:
    """Send a `system.webhook_test`, signed as any other. Takes as long as the receiver, ten seconds at most.

    To be called outside of any transaction.
    """
    event = uuid7()
    event_id = mint_wire_id("evt", owner.tag, event)
    body = encoded(
        {
            "event_id": event_id,
            "event_type": TEST_EVENT,
            "category": category_of(TEST_EVENT),
            "timestamp": wire_time(now),
            "tenant_id": owner.tenant_id,
            "source": "watermaster",
            "trace_id": event.hex,
            "data": {"component": "webhook_dispatcher", "subscription_id": subscription_id(subscription, owner)},
        }
    )
    with Sender(subscription) as sender:
        result = sender.send(event_id=event_id, event_type=TEST_EVENT, body=body, trace_id=event.hex, now=now)
    if not isinstance(result, Answered):
        return Pinged(
            event_id=event_id, is_success=False, response_status=None, response_time_ms=None, error=str(result)
        )
    return Pinged(
        event_id=event_id,
        is_success=result.is_success,
        response_status=result.status,
        response_time_ms=result.took_ms,
        error="" if result.is_success else f"The receiver answered {result.status}.",
    )

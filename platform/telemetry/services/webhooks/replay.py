"""Sending events again: those of a while, or one that was given up. A replay makes deliveries of its own.

The events' ids stay, so that whoever has them already can tell.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from kernel.actor import Actor
from kernel.ids import uuid7
from telemetry.event_names import wire_name
from telemetry.event_owner import Owner
from telemetry.models import OutboxEvent, WebhookDelivery, WebhookSubscription
from telemetry.selectors.events import trace_of
from telemetry.services import audit, outbox
from telemetry.services.webhooks.fan_out import may_hear, selects
from telemetry.services.webhooks.subscriptions import SubscriptionNotFound, subscription_id
from telemetry.webhook_states import WAITING, WebhookStatus

#: The protocol's.
EVENTS_MAX: Final = 1_000
#: More events of a while are not looked at: whoever asks names a shorter one.
_SCANNED_MAX: Final = 20_000
_STEP: Final = 500


class ReplayInProgress(Exception):
    """An earlier replay to this receiver has not ended."""


class NotListening(Exception):
    """It is paused or disabled, so nothing would be sent."""


class TooManyEvents(Exception):
    """The while holds more events than were asked for at most, or than are looked at."""


class DeliveryNotFound(Exception):
    """No delivery with this number, or its event is not kept any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How many deliveries were made."""

    id: UUID
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which events: from `since` to `until`, both included, where they are not None; of some types, or all selected."""

    since: datetime | None = None
    until: datetime | None = None
    event_types: Sequence[str] = ()
    events_max: int = 100


def replay_events(pk: UUID, window: Window, *, owner: Owner, actor: Actor, now: datetime) -> Replay:
    """All that the window holds and the receiver asks for, in order, or nothing.

    Not safe to repeat: each replay sends again. Raises `SubscriptionNotFound`, `NotListening`, `ReplayInProgress` or
    `TooManyEvents`.
    """
    with transaction.atomic():
        subscription = _free(pk)
        replay_id = uuid7()
        made = list(islice(_again(subscription, window, owner, replay_id, now), window.events_max + 1))
        if len(made) > window.events_max:
            raise TooManyEvents
        WebhookDelivery.objects.bulk_create(made, batch_size=_STEP)
        _tell(subscription, {"replay_id": str(replay_id), "events": len(made)}, owner=owner, actor=actor, now=now)
    return Replay(id=replay_id, events=len(made))


def send_again(pk: UUID, *, delivery_id: int, owner: Owner, actor: Actor, now: datetime) -> Replay:
    """One event that was delivered or given up. Raises as `replay_events`, or `DeliveryNotFound`."""
    with transaction.atomic():
        subscription = _free(pk)
        before = WebhookDelivery.objects.filter(subscription=subscription, pk=delivery_id).first()
        if before is None or (before.body is None and not OutboxEvent.objects.filter(pk=before.event_id).exists()):
            raise DeliveryNotFound(str(delivery_id))
        replay_id = uuid7()
        _copy(before, replay_id, now).save(force_insert=True)
        _tell(subscription, {"replay_id": str(replay_id), "delivery": delivery_id}, owner=owner, actor=actor, now=now)
    return Replay(id=replay_id, events=1)


def _free(pk: UUID) -> WebhookSubscription:
    """The subscription, held, so that one replay is made at a time."""
    subscription = WebhookSubscription.objects.select_for_update().filter(pk=pk).first()
    if subscription is None:
        raise SubscriptionNotFound(str(pk))
    if subscription.status != WebhookStatus.ACTIVE:
        raise NotListening
    if subscription.deliveries.filter(status__in=WAITING).exclude(replay_id=None).exists():
        raise ReplayInProgress
    return subscription


def _again(
    subscription: WebhookSubscription, window: Window, owner: Owner, replay_id: UUID, now: datetime
) -> Iterable[WebhookDelivery]:
    if owner.is_platform:
        # Of tenants' events it has copies of its own, those that it was once sent.
        copies = subscription.deliveries.filter(replay_id=None).exclude(body=None).filter(_within(window, "created_at"))
        for copy in _limited(copies.order_by("pk")):
            if not window.event_types or copy.event_type in window.event_types:
                yield _copy(copy, replay_id, now)
    events = OutboxEvent.objects.exclude(delivered_at=None).filter(_within(window, "at"))
    for event in _limited(events.order_by("seq")):
        is_wanted = not window.event_types or wire_name(event.event_type) in window.event_types
        if is_wanted and selects(subscription, event) and may_hear(event, owner):
            yield WebhookDelivery(
                subscription=subscription,
                event_id=event.pk,
                event_type=wire_name(event.event_type),
                trace_id=trace_of(event),
                replay_id=replay_id,
                created_at=now,
                next_attempt_at=now,
            )


def _limited(found: Any) -> Iterable[Any]:
    for count, row in enumerate(found[: _SCANNED_MAX + 1].iterator(chunk_size=_STEP)):
        if count == _SCANNED_MAX:
            raise TooManyEvents
        yield row


def _within(window: Window, column: str) -> Q:
    condition = Q()
    if window.since is not None:
        condition &= Q(**{f"{column}__gte": window.since})
    if window.until is not None:
        condition &= Q(**{f"{column}__lte": window.until})
    return condition


def _copy(before: WebhookDelivery, replay_id: UUID, now: datetime) -> WebhookDelivery:
    return WebhookDelivery(
        subscription_id=before.subscription_id,
        event_id=before.event_id,
        event_type=before.event_type,
        trace_id=before.trace_id,
        body=before.body,
        replay_id=replay_id,
        created_at=now,
        next_attempt_at=now,
    )


def _tell(
    subscription: WebhookSubscription, facts: dict[str, Any], *, owner: Owner, actor: Actor, now: datetime
) -> None:
    wire_id = subscription_id(subscription, owner)
    audit.record(actor=actor, action="webhook.replayed", target=wire_id, at=now, after=facts)
    event = outbox.Event(event_type="custom.webhook.replayed", content={"subscription_id": wire_id} | facts)
    outbox.announce(event, actor=actor, at=now)

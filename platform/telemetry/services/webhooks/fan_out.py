"""From the outbox to deliveries: one for each event and each receiver that asks for it.

Safe to repeat, to run twice at once and to be killed anywhere: an event leaves the outbox in the transaction that makes
its deliveries, and a receiver has one delivery of an event at most. The platform's receivers are in the shared schema,
which no transaction of a tenant's may write: their copies are made first, and made again they are there already.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from django.db import transaction

from kernel.tenancy import in_public
from telemetry.event_names import TENANT_CATEGORIES, TEST_EVENT, category_of, wire_name
from telemetry.event_owner import Owner
from telemetry.models import OutboxEvent, WebhookDelivery, WebhookSubscription
from telemetry.selectors.events import event_body, trace_of
from telemetry.webhook_states import WebhookStatus

#: Events that leave the outbox in one transaction.
BATCH_MAX: Final = 500


def hand_out(*, owner: Owner, now: datetime, copied: Callable[[], None] = lambda: None) -> int:
    """Hand out the next events of the schema that the connection is in, at most `BATCH_MAX`, in their order; how many.

    `copied` is called when copies for the platform are there, and before the events leave the outbox: whoever dies in
    between does both again.
    """
    events = list(OutboxEvent.objects.filter(delivered_at=None).order_by("seq")[:BATCH_MAX])
    if not events:
        return 0
    if not owner.is_platform and _copy_to_platform(events, owner, now):
        copied()
    with transaction.atomic():
        ids = [event.pk for event in events]
        # Whoever else hands them out waits here and then finds none.
        still_in = set(
            OutboxEvent.objects.select_for_update()
            .filter(pk__in=ids, delivered_at=None)
            .order_by("seq")
            .values_list("pk", flat=True)
        )
        events = [event for event in events if event.pk in still_in]
        receivers = _active()
        WebhookDelivery.objects.bulk_create(
            (
                _delivery(event, receiver, now)
                for event in events
                for receiver in receivers
                if asks_for(receiver, event, owner)
            ),
            ignore_conflicts=True,
            batch_size=BATCH_MAX,
        )
        OutboxEvent.objects.filter(pk__in=still_in).update(delivered_at=now)
    return len(events)


def asks_for(receiver: WebhookSubscription, event: OutboxEvent, owner: Owner) -> bool:
    """Whether this receiver is to hear of this event: by its names or categories, its scope, and since when."""
    return event.at >= receiver.listens_since and selects(receiver, event) and may_hear(event, owner)


def selects(receiver: WebhookSubscription, event: OutboxEvent) -> bool:
    """By names or categories, and by scope."""
    is_asked_for = (
        wire_name(event.event_type) in receiver.event_types
        or category_of(event.event_type) in receiver.event_categories
    )
    scope = receiver.scope_filter
    is_in_scope = not scope or fnmatchcase(event.scope_path, scope)
    return is_asked_for and is_in_scope and event.event_type != TEST_EVENT


def may_hear(event: OutboxEvent, owner: Owner) -> bool:
    """Whether the owner's receivers may: what a tenant must not hear of does not leave, however a row came about."""
    return owner.is_platform or category_of(event.event_type) in TENANT_CATEGORIES


def _active() -> Sequence[WebhookSubscription]:
    return list(WebhookSubscription.objects.filter(status=WebhookStatus.ACTIVE).order_by("id"))


def _copy_to_platform(events: Iterable[OutboxEvent], owner: Owner, now: datetime) -> int:
    with in_public():
        receivers = _active()
        copies = [
            _delivery(event, receiver, now, body=event_body(event, owner))
            for event in events
            for receiver in receivers
            if event.at >= receiver.listens_since and selects(receiver, event)
        ]
        WebhookDelivery.objects.bulk_create(copies, ignore_conflicts=True, batch_size=BATCH_MAX)
    return len(copies)


def _delivery(
    event: OutboxEvent, receiver: WebhookSubscription, now: datetime, *, body: str | None = None
) -> WebhookDelivery:
    return WebhookDelivery(
        subscription_id=receiver.pk,
        event_id=event.pk,
        event_type=wire_name(event.event_type),
        trace_id=trace_of(event),
        body=body,
        created_at=now,
        next_attempt_at=now,
    )

"""The outbox of the schema that the connection is in: what waits to be delivered, and what was."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min

from telemetry.models import OutboxEvent, WebhookDelivery
from telemetry.webhook_states import DeliveryStatus, WebhookStatus

#: A queue is counted up to here: a page does not need to know how much longer it is.
WAITING_COUNTED_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One event. `delivered_at` is None while it waits to be handed out."""

    id: UUID
    seq: int
    at: datetime
    event_type: str
    scope_path: str
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """The newest first. `next_before` is the number to ask from for the next page, None on the last one."""

    lines: tuple[EventLine, ...]
    next_before: int | None


def event_page(
    *, is_delivered: bool | None = None, event_type: str = "", before: int | None = None, limit: int
) -> EventPage:
    """Events in the order in which they were written. One query."""
    found = OutboxEvent.objects.order_by("-seq")
    if is_delivered is not None:
        found = found.filter(delivered_at__isnull=not is_delivered)
    if event_type:
        found = found.filter(event_type__icontains=event_type)
    if before is not None:
        found = found.filter(seq__lt=before)
    names = ("id", "seq", "at", "event_type", "scope_path", "delivered_at")
    rows = [EventLine(**row) for row in found.values(*names)[: limit + 1]]
    lines = tuple(rows[:limit])
    return EventPage(lines=lines, next_before=lines[-1].seq if len(rows) > limit else None)


def waiting_count() -> int:
    """How many wait, at most `WAITING_COUNTED_MAX`. One query along their index."""
    return OutboxEvent.objects.filter(delivered_at=None).order_by("seq")[:WAITING_COUNTED_MAX].count()


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many events wait, at most `WAITING_COUNTED_MAX`, and since when the oldest does; None where none does."""

    count: int
    since: datetime | None


def waiting_events() -> Waiting:
    """One query along their index."""
    found = OutboxEvent.objects.filter(delivered_at=None).order_by("seq")[:WAITING_COUNTED_MAX]
    return Waiting(**found.aggregate(count=Count("pk"), since=Min("at")))


def oldest_waiting_at() -> datetime | None:
    """When the oldest event was written that is late because of us: it has not left the outbox, or was never sent to a
    receiver that takes what it is sent. Two queries along their indexes.
    """
    # What has left the outbox did so within moments of being written, so a delivery is nearly as old as its event.
    waiting = WebhookDelivery.objects.filter(
        status=DeliveryStatus.PENDING,
        subscription__status=WebhookStatus.ACTIVE,
        subscription__quiet_until=None,
    )
    found = [
        OutboxEvent.objects.filter(delivered_at=None).order_by("seq").values_list("at", flat=True).first(),
        waiting.aggregate(at=Min("created_at"))["at"],
    ]
    return min((at for at in found if at is not None), default=None)

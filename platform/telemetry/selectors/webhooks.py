"""Subscriptions and deliveries of the schema that the connection is in."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from django.db.models import Count, Q, QuerySet

from kernel.ids import mint_wire_id
from telemetry.event_owner import Owner
from telemetry.models import OutboxEvent, WebhookDelivery, WebhookSubscription
from telemetry.webhook_states import WAITING, DeliveryStatus

#: More than anybody needs, and few enough to hand every event out to.
SUBSCRIPTIONS_MAX = 100


class _Copy(msgspec.Struct):
    event_id: str


@dataclass(frozen=True, slots=True)
class SubscriptionLine:
    """A subscription, and how many of its deliveries wait and were given up."""

    subscription: WebhookSubscription
    waiting: int
    given_up: int


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """`next_before` is the number to ask from for the next page, None on the last one."""

    lines: tuple[WebhookDelivery, ...]
    next_before: int | None


def subscriptions() -> QuerySet[WebhookSubscription]:
    return WebhookSubscription.objects.all()


def subscription_by_id(pk: UUID) -> WebhookSubscription | None:
    return WebhookSubscription.objects.filter(pk=pk).first()


def subscription_lines() -> Sequence[SubscriptionLine]:
    """All of them, the newest first. Two queries."""
    found = list(WebhookSubscription.objects.order_by("-id")[:SUBSCRIPTIONS_MAX])
    counts = {
        row["subscription_id"]: row
        for row in WebhookDelivery.objects.exclude(status=DeliveryStatus.SUCCESS)
        .values("subscription_id")
        .annotate(
            waiting=Count("pk", filter=Q(status__in=WAITING)),
            given_up=Count("pk", filter=Q(status=DeliveryStatus.FAILED)),
        )
    }
    nothing = {"waiting": 0, "given_up": 0}
    return [
        SubscriptionLine(
            each, waiting=counts.get(each.pk, nothing)["waiting"], given_up=counts.get(each.pk, nothing)["given_up"]
        )
        for each in found
    ]


def deliveries(of: UUID) -> QuerySet[WebhookDelivery]:
    """A subscription's deliveries; the highest number is the newest."""
    return WebhookDelivery.objects.filter(subscription_id=of)


def delivery_page(
    of: UUID, *, status: DeliveryStatus | None = None, before: int | None = None, limit: int
) -> DeliveryPage:
    """A subscription's deliveries, the newest first. One query."""
    found = deliveries(of).defer("body").order_by("-pk")
    if status is not None:
        found = found.filter(status=status)
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: limit + 1])
    lines = tuple(rows[:limit])
    return DeliveryPage(lines=lines, next_before=lines[-1].pk if len(rows) > limit else None)


def event_id_of(delivery: WebhookDelivery, owner: Owner) -> str:
    """The event's id as receivers see it; a copy from another schema says it itself."""
    if delivery.body is None:
        return mint_wire_id("evt", owner.tag, delivery.event_id)
    return msgspec.json.decode(delivery.body, type=_Copy).event_id


def events() -> QuerySet[OutboxEvent]:
    """What happened, in the order of `seq`."""
    return OutboxEvent.objects.all()

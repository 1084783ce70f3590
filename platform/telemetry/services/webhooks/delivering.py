"""Delivering what waits for one receiver: in order, one after the other, at least once.

No transaction is open while a receiver is waited for. A session lock keeps two workers off the same receiver; it goes
with the connection, so that after `kill -9` the next worker can begin at once. What was sent and not yet written down
is then sent again, with the same id.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import F, Min
from django.db.models.functions import Greatest

from kernel.ids import Tag
from telemetry.event_owner import Owner
from telemetry.models import WebhookDelivery, WebhookSubscription
from telemetry.services.webhooks.attempts import attempt
from telemetry.services.webhooks.settling import settle
from telemetry.webhook_states import WAITING, DeliveryStatus, WebhookStatus

#: Written down together; so many are sent twice at most when a worker dies.
BATCH_MAX: Final = 100
#: Threads of this process that may wait at once for receivers that did not answer last time: others have the rest.
DOUBTFUL_MAX: Final = 6
#: Threads of this process that may wait at once for receivers of one owner, however well these answer.
OWNER_MAX: Final = 4
_BUSY_AGAIN_AFTER: Final = timedelta(seconds=1)
_LOCK_MASK: Final = (1 << 63) - 1


_doubtful: Final = BoundedSemaphore(DOUBTFUL_MAX)
_owners: Final[Counter[Tag]] = Counter()
_owners_lock: Final = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one visit did. `next_at`: when something is due again, None where nothing waits."""

    delivered: int = 0
    failed: int = 0
    next_at: datetime | None = None


def deliver_due(
    *, subscription_id: UUID, owner: Owner, has_time: Callable[[], bool], chance: Callable[[], float] = random.random
) -> Visit:
    """Deliver to the receiver what is due, in the schema that the connection is in, until `has_time` says no.

    While another worker is at it, or this process at `OWNER_MAX` others of the owner's, nothing is done.
    """
    with _turn(owner) as has_turn:
        if not has_turn:
            return Visit(next_at=datetime.now(UTC) + _BUSY_AGAIN_AFTER)
        return _deliver(subscription_id, owner, has_time, chance)


def _deliver(subscription_id: UUID, owner: Owner, has_time: Callable[[], bool], chance: Callable[[], float]) -> Visit:
    delivered = failed = 0
    with _alone(subscription_id) as is_alone:
        while is_alone and (subscription := _listening(subscription_id)) is not None:
            due = _due(subscription)
            is_doubtful = subscription.quiet_until is not None
            if is_doubtful and not _doubtful.acquire(blocking=False):
                return Visit(delivered=delivered, failed=failed, next_at=datetime.now(UTC) + _BUSY_AGAIN_AFTER)
            try:
                outcomes = attempt(subscription, due, owner=owner, has_time=has_time, chance=chance)
            finally:
                if is_doubtful:
                    _doubtful.release()
            settle(subscription, outcomes, owner=owner)
            successes = sum(outcome.status == DeliveryStatus.SUCCESS for outcome in outcomes)
            delivered, failed = delivered + successes, failed + len(outcomes) - successes
            if not due or not has_time():
                break
    return Visit(delivered=delivered, failed=failed, next_at=next_due_at(subscription_id))


def next_due_at(subscription_id: UUID | None = None) -> datetime | None:
    """When the next attempt is due, of one receiver or of all in this schema; None where nothing waits."""
    waiting = WebhookDelivery.objects.filter(status__in=WAITING, subscription__status=WebhookStatus.ACTIVE)
    if subscription_id is not None:
        waiting = waiting.filter(subscription_id=subscription_id)
    # PostgreSQL's GREATEST passes NULL by.
    at = Min(Greatest("next_attempt_at", F("subscription__quiet_until")))
    found: datetime | None = waiting.aggregate(at=at)["at"]
    return found


def due_subscriptions(*, now: datetime) -> list[UUID]:
    """Receivers for whom something is due."""
    waiting = WebhookDelivery.objects.filter(
        status__in=WAITING, subscription__status=WebhookStatus.ACTIVE, next_attempt_at__lte=now
    ).exclude(subscription__quiet_until__gt=now)
    return list(waiting.values_list("subscription_id", flat=True).distinct())


def _listening(subscription_id: UUID) -> WebhookSubscription | None:
    found = WebhookSubscription.objects.filter(pk=subscription_id, status=WebhookStatus.ACTIVE).first()
    is_quiet = found is not None and found.quiet_until is not None and found.quiet_until > datetime.now(UTC)
    return None if is_quiet else found


def _due(subscription: WebhookSubscription) -> list[WebhookDelivery]:
    waiting = subscription.deliveries.filter(status__in=WAITING, next_attempt_at__lte=datetime.now(UTC))
    return list(waiting.order_by("id")[:BATCH_MAX])


@contextmanager
def _turn(owner: Owner) -> Iterator[bool]:
    """Whether one more of the owner's receivers may be waited for during the block."""
    with _owners_lock:
        has_turn = _owners[owner.tag] < OWNER_MAX
        _owners[owner.tag] += has_turn
    try:
        yield has_turn
    finally:
        with _owners_lock:
            _owners[owner.tag] -= has_turn
            if not _owners[owner.tag]:
                del _owners[owner.tag]


@contextmanager
def _alone(subscription_id: UUID) -> Iterator[bool]:
    """Whether this worker, and no other, has the receiver to itself for the block."""
    # The random half of the id: nobody else in the database locks by such a number.
    key = subscription_id.int & _LOCK_MASK
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        (is_alone,) = cursor.fetchone()
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])

"""Visiting a tenant, or the platform, whose events wait: handing them out, and delivering to one receiver.

Safe to repeat, to run twice at once, and to be killed anywhere: what was not written down is done again, and a visit
that never ends is asked for again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public, in_tenant
from telemetry.event_owner import PLATFORM, Owner
from telemetry.selectors.outbox import oldest_waiting_at
from telemetry.services.webhooks.delivering import Visit, deliver_due, due_subscriptions, next_due_at
from telemetry.services.webhooks.fan_out import BATCH_MAX, hand_out
from telemetry.services.webhooks.forgetting import forget_old_deliveries
from tenants.selectors.directory import tenant_by_tag
from tenants.services import webhook_due
from tenants.services.standing import look_soon


class NobodyThere(Exception):
    """The directory knows no tenant with this tag."""


def owner_of(tag: Tag) -> Owner:
    """Raises `NobodyThere`."""
    if tag == PLATFORM_TAG:
        return PLATFORM
    tenant = tenant_by_tag(tag)
    if tenant is None:
        raise NobodyThere(tag)
    return Owner(tag=tag, tenant_id=tenant.slug)


@contextmanager
def in_schema_of(owner: Owner) -> Iterator[None]:
    """Run a block where the owner's outbox and subscriptions are."""
    with in_public() if owner.is_platform else in_tenant(owner.tag):
        yield


def hand_out_events(*, tag: Tag, has_time: Callable[[], bool]) -> list[UUID]:
    """Empty the outbox into deliveries; the receivers for whom something is due now, to be delivered to next."""
    owner = owner_of(tag)
    visit = webhook_due.begin_visit(tag=tag)
    is_all = False
    with in_schema_of(owner):
        while not is_all:
            is_all = hand_out(owner=owner, now=datetime.now(UTC), copied=_wake_platform) < BATCH_MAX
            if not has_time():
                break
        now = datetime.now(UTC)
        forget_old_deliveries(now=now)
        due = due_subscriptions(now=now)
        next_at = next_due_at()
        oldest_at = oldest_waiting_at()
    if due:
        # They are delivered to in a moment; should that never happen, a later visit finds them.
        next_at = now + timedelta(seconds=webhook_due.RETRY_AFTER_S)
    # Before anything is delivered: whoever delivers lowers the time again.
    webhook_due.finish_visit(tag=tag, visit=visit, is_all=is_all, due_at=next_at, oldest_at=oldest_at)
    return due


def _wake_platform() -> None:
    webhook_due.lower_due(tag=PLATFORM_TAG, at=datetime.now(UTC))


def deliver(*, tag: Tag, subscription_id: UUID, has_time: Callable[[], bool]) -> Visit:
    """Deliver to one receiver what is due, and note when something is due again."""
    owner = owner_of(tag)
    with in_schema_of(owner):
        visit = deliver_due(subscription_id=subscription_id, owner=owner, has_time=has_time)
    if visit.next_at is not None:
        webhook_due.lower_due(tag=tag, at=visit.next_at)
    if visit.failed and not owner.is_platform:
        # Perhaps it was given up: then somebody should know, though nothing happens in the tenant's books.
        look_soon(tags=[tag])
    return visit

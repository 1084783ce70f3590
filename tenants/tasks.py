"""The worker's door to webhooks: who is due, what leaves the outbox, what is delivered.

They run on a queue of their own, `webhooks`, whose worker waits for other people's servers in many threads, so that a
receiver that hangs delays nothing else. While PostgreSQL is away a tick says so in a line and leaves its work to the
next.
"""

import logging
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from celery import shared_task
from django.db import InterfaceError, OperationalError

from kernel.ids import PLATFORM_TAG, Tag
from kernel.tasks import TenantTask
from tenants.services import webhook_due
from tenants.services.webhook_visits import NobodyThere, deliver, hand_out_events

#: Tenants handed out by one tick; the next tick takes the next ones.
_TENANTS_MAX: Final = 500
#: After it a visit ends by itself and the rest stays due. With one answer that is waited for: below `RETRY_AFTER_S`.
_VISIT_SECONDS_MAX: Final = 10.0

_logger = logging.getLogger(__name__)


@shared_task(name="tenants.dispatch_webhooks", time_limit=30)
def dispatch_webhooks() -> None:
    """Have those visited whose events wait, and no others."""
    try:
        tags = webhook_due.ask_for_visits(limit=_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody was asked for events: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        if tag == PLATFORM_TAG:
            hand_out_of_platform.apply_async(expires=webhook_due.RETRY_AFTER_S)
        else:
            hand_out_of_tenant.apply_async(kwargs={"tag": tag}, expires=webhook_due.RETRY_AFTER_S)


@shared_task(name="tenants.enrol_webhooks", time_limit=60)
def enrol_webhooks() -> None:
    """Find tenants that are new."""
    try:
        webhook_due.enrol()
    except OperationalError as error:
        _logger.warning("New tenants were not looked for: %s", str(error).partition("\n")[0])


@shared_task(name="tenants.sweep_webhooks", time_limit=300)
def sweep_webhooks() -> None:
    """Forget tenants that are gone and find tables that were made anew. Slow and rare."""
    webhook_due.forget_strangers()


@shared_task(base=TenantTask, name="tenants.hand_out_of_tenant")
def hand_out_of_tenant(*, tag: str) -> None:
    """Hand out a tenant's events. May run twice."""
    for subscription in _hand_out(Tag(tag)):
        deliver_of_tenant.apply_async(
            kwargs={"tag": tag, "subscription": str(subscription)}, expires=webhook_due.RETRY_AFTER_S
        )


@shared_task(base=TenantTask, name="tenants.deliver_of_tenant")
def deliver_of_tenant(*, tag: str, subscription: str) -> None:
    """Deliver to one receiver of a tenant's. May run twice."""
    _deliver(Tag(tag), UUID(subscription))


@shared_task(name="tenants.hand_out_of_platform")
def hand_out_of_platform() -> None:
    """Hand out the platform's own events. May run twice."""
    for subscription in _hand_out(PLATFORM_TAG):
        deliver_of_platform.apply_async(kwargs={"subscription": str(subscription)}, expires=webhook_due.RETRY_AFTER_S)


@shared_task(name="tenants.deliver_of_platform")
def deliver_of_platform(*, subscription: str) -> None:
    """Deliver to one receiver of the platform's. May run twice."""
    _deliver(PLATFORM_TAG, UUID(subscription))


def _hand_out(tag: Tag) -> list[UUID]:
    try:
        return hand_out_events(tag=tag, has_time=_has_time())
    except (OperationalError, InterfaceError, NobodyThere) as error:
        _logger.warning("Events of %s were left to the next visit: %s", tag, type(error).__name__)
        return []


def _deliver(tag: Tag, subscription: UUID) -> None:
    try:
        deliver(tag=tag, subscription_id=subscription, has_time=_has_time())
    except (OperationalError, InterfaceError, NobodyThere) as error:
        _logger.warning("Deliveries of %s were left to the next visit: %s", tag, type(error).__name__)


def _has_time() -> Callable[[], bool]:
    ends_at = time.monotonic() + _VISIT_SECONDS_MAX
    return lambda: time.monotonic() < ends_at

"""The worker's door to routing: rules follow prices whose time has come, and plans that change at a period's end.

While PostgreSQL is away a tick says so in a line; the sweep finds what it missed.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from celery import shared_task
from django.db import OperationalError

from budgets.services.guards import TenantIsClosed, TenantIsSuspended
from budgets.services.subscribing import SubscriptionChanged
from kernel.actor import Actor
from kernel.ids import Tag
from routing.selectors.prices import tenants_repriced
from routing.services.plan_changes import PlanDoesNotFit, PlanNotFound, apply_due_plan
from routing.services.rulesets import publish_all, publish_rulesets
from tenants.selectors.tags import tenant_tags

_ACTOR: Final = Actor(name="rules", actor_type="scheduler")
#: Longer than the time between two ticks, so that one that came late finds what was due before it.
_LOOKS_BACK: Final = timedelta(minutes=10)

_logger = logging.getLogger(__name__)


@shared_task(name="routing.follow_prices", time_limit=600)
def follow_prices() -> None:
    """Put prices in force whose beginning or end has come. May run twice."""
    now = datetime.now(UTC)
    try:
        tags = tenants_repriced(since=now - _LOOKS_BACK, until=now)
    except OperationalError as error:
        _logger.warning("Nobody was asked for new prices: %s", str(error).partition("\n")[0])
        return
    if "" in tags:
        publish_all(actor=_ACTOR)
    else:
        publish_rulesets([Tag(tag) for tag in sorted(tags)], actor=_ACTOR)


@shared_task(name="routing.apply_due_plan_changes", time_limit=600)
def apply_due_plan_changes() -> None:
    """Put tenants on the plans that were to follow. May run twice; a suspended tenant's change waits."""
    now = datetime.now(UTC)
    try:
        for tag in tenant_tags():
            try:
                apply_due_plan(tag=tag, now=now, actor=_ACTOR)
            except (PlanDoesNotFit, PlanNotFound, SubscriptionChanged, TenantIsClosed, TenantIsSuspended) as refusal:
                _logger.warning("The plan of tenant %s was not changed: %s", tag, type(refusal).__name__)
    except OperationalError as error:
        _logger.warning("Plan changes were cut off and will be tried again: %s", str(error).partition("\n")[0])


@shared_task(name="routing.follow_rules", time_limit=3600)
def follow_rules() -> None:
    """Compile every tenant's rules again, in case a change was cut off. Slow and rare; what is right stays."""
    publish_all(actor=_ACTOR)

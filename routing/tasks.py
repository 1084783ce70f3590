"""The worker's door to routing: rules follow prices whose time has come, plans that change, and shadow that ends.

While PostgreSQL is away a tick says so in a line; the sweep finds what it missed.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError, OperationalError

from budgets.selectors.rulesets import shadow_ends_at
from budgets.services.guards import TenantIsClosed, TenantIsSuspended
from budgets.services.subscribing import SubscriptionChanged
from kernel.actor import Actor
from kernel.archives import ArchiveDamaged, ExportDiffers
from kernel.ids import Tag
from kernel.tasks import TenantTask
from kernel.tenancy import in_tenant
from routing.selectors.prices import tenants_repriced
from routing.services.evidence_visits import sweep_evidence, visit_evidence
from routing.services.plan_changes import PlanDoesNotFit, PlanNotFound, apply_due_plan, follow_books
from routing.services.rulesets import RulesBusy, publish_all, publish_rulesets
from telemetry.evidence.services.forgetting import Keeping
from telemetry.findings.selectors.standing import tenants_with_evidence
from telemetry.findings.services.standing import LEASE, take_due_evidence
from telemetry.services.archiving import database_now
from tenants.selectors.tags import tenant_tags

_ACTOR: Final = Actor(name="rules", actor_type="scheduler")
#: Longer than the time between two ticks, so that one that came late finds what was due before it.
_LOOKS_BACK: Final = timedelta(minutes=10)

#: Tenants handed out by one tick; the next tick takes the next ones.
_TENANTS_MAX: Final = 500
#: After it a visit ends by itself and the tenant stays due.
_VISIT_SECONDS_MAX: Final = 10.0

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


@shared_task(name="routing.follow_dates", time_limit=600)
def follow_dates() -> None:
    """Put tenants on the plans that were to follow, and end shadow mode whose end has come. May run twice."""
    now = datetime.now(UTC)
    try:
        for tag in tenant_tags():
            _follow_dates_of(tag, now)
    except OperationalError as error:
        _logger.warning("Dates were not followed and will be tried again: %s", str(error).partition("\n")[0])


def _follow_dates_of(tag: Tag, now: datetime) -> None:
    try:
        apply_due_plan(tag=tag, now=now, actor=_ACTOR)
    except (PlanDoesNotFit, PlanNotFound, SubscriptionChanged, TenantIsClosed, TenantIsSuspended) as refusal:
        # A suspended tenant's change waits.
        _logger.warning("The plan of tenant %s was not changed: %s", tag, type(refusal).__name__)
    with in_tenant(tag):
        ends_at = shadow_ends_at()
    if ends_at is not None and ends_at <= now:
        publish_rulesets([tag], actor=_ACTOR)


@shared_task(name="routing.follow_rules", time_limit=3600)
def follow_rules() -> None:
    """Compile every tenant's rules again, in case a change was cut off. Slow and rare; what is right stays."""
    try:
        for tag in tenant_tags():
            try:
                follow_books(tag, actor=_ACTOR)
            except (RulesBusy, DatabaseError) as error:
                _logger.warning("The rules of tenant %s were left to the next sweep: %s", tag, type(error).__name__)
    except OperationalError as error:
        _logger.warning("The rules were not followed to the end: %s", str(error).partition("\n")[0])


@shared_task(name="routing.dispatch_evidence", time_limit=30)
def dispatch_evidence() -> None:
    """Have the tenants visited whose runtimes sent spans, and no others."""
    try:
        visits = take_due_evidence(limit=_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody was asked for new spans: %s", str(error).partition("\n")[0])
        return
    for visit in visits:
        count_evidence.apply_async(
            kwargs={"tag": visit.tag, "ends_at": visit.ends_at.isoformat()}, expires=LEASE.total_seconds()
        )


@shared_task(base=TenantTask, name="routing.count_evidence", time_limit=60)
def count_evidence(*, tag: str, ends_at: str) -> None:
    """Count one tenant's new spans. May run twice."""
    try:
        visit_evidence(
            tag=Tag(tag),
            ends_at=datetime.fromisoformat(ends_at),
            now=datetime.now(UTC),
            has_time=_time_for_a_visit(),
        )
    except OperationalError as error:
        _logger.warning("Spans of tenant %s were left to the next visit: %s", tag, type(error).__name__)


@shared_task(name="routing.sweep_evidence", time_limit=3600)
def sweep_evidence_of_all() -> None:
    """Find spans that nobody counted, and forget old ones. Slow and rare; visits who has ever sent any."""
    keeping = Keeping(days=settings.EVIDENCE_DAYS, sample_percent=settings.EVIDENCE_SAMPLE_PERCENT)
    try:
        for tag in tenants_with_evidence():
            try:
                # A worker whose clock jumped must not forget what is young.
                now = min(datetime.now(UTC), database_now())
                sweep_evidence(tag=tag, keeping=keeping, now=now, has_time=_time_for_a_visit())
            except (ArchiveDamaged, ExportDiffers, OSError) as error:
                _logger.error("Old spans of tenant %s were not dropped: %s", tag, error)
            except DatabaseError as error:
                # A tenant that is gone, or one broken schema, must not hide those behind it.
                _logger.warning("Spans of tenant %s were not swept: %s", tag, type(error).__name__)
    except OperationalError as error:
        _logger.warning("Spans were not swept to the end: %s", str(error).partition("\n")[0])


def _time_for_a_visit() -> Callable[[], bool]:
    stops_at = time.monotonic() + _VISIT_SECONDS_MAX
    return lambda: time.monotonic() < stops_at

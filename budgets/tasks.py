"""The worker's door to the books: what is done later, and what is done again and again.

While PostgreSQL is away these tasks say so in a line and leave their work to the next tick: nothing is lost by waiting.
"""

import logging
import time
from typing import Final

from celery import shared_task
from django.db import OperationalError

from budgets.services.engine import EngineUnavailable
from budgets.services.expiry import visit_tenant
from budgets.services.standing_notes import visit_books
from budgets.services.sweep import sweep_tenants
from kernel.ids import Tag
from kernel.tasks import TenantTask
from tenants.services import due, standing

#: Tenants handed out by one tick; the next tick takes the next ones.
_TENANTS_MAX: Final = 500
#: After it a visit ends by itself and the tenant stays due.
_VISIT_SECONDS_MAX: Final = 10.0

_logger = logging.getLogger(__name__)


@shared_task(name="budgets.dispatch_expiry", time_limit=30)
def dispatch_expiry() -> None:
    """Have the tenants visited that are due, and no others."""
    try:
        tags = due.take_due(limit=_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody was asked for expired reservations: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        expire_tenant.delay(tag=tag)


# The limit is well below `due.RETRY_AFTER_S`: a visit has ended, one way or the other, before the next one begins.
@shared_task(base=TenantTask, name="budgets.expire_tenant", time_limit=30)
def expire_tenant(*, tag: str) -> None:
    """Expire what is due in one tenant. May run twice."""
    ends_at = time.monotonic() + _VISIT_SECONDS_MAX
    try:
        visit_tenant(tag=Tag(tag), has_time=lambda: time.monotonic() < ends_at)
    except (EngineUnavailable, OperationalError) as error:
        _logger.warning("Expiry of tenant %s was cut off and will be tried again: %s", tag, type(error).__name__)


@shared_task(name="budgets.sweep_due", time_limit=900)
def sweep_due() -> None:
    """Ask every tenant when it is due, in case a note was lost. Slow and rare."""
    sweep_tenants()


@shared_task(name="budgets.dispatch_rollups", time_limit=30)
def dispatch_rollups() -> None:
    """Have the tenants visited whose books have something new, and no others; those that waited longest first."""
    try:
        standing.enrol_tenants()
        tags = standing.ask_for_visits(limit=_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody was asked for rollups: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        roll_up_tenant.apply_async(kwargs={"tag": tag}, expires=standing.RETRY_AFTER_S)


# Of one huge tenant so much at a time that the others have their turn.
@shared_task(base=TenantTask, name="budgets.roll_up_tenant", time_limit=45)
def roll_up_tenant(*, tag: str) -> None:
    """Add what is new in one tenant's books to its rollups and note how it stands. May run twice."""
    ends_at = time.monotonic() + _VISIT_SECONDS_MAX
    try:
        visit_books(tag=Tag(tag), has_time=lambda: time.monotonic() < ends_at)
    except OperationalError as error:
        _logger.warning("The rollup of tenant %s was cut off and will be tried again: %s", tag, type(error).__name__)


@shared_task(name="budgets.sweep_standings", time_limit=300)
def sweep_standings() -> None:
    """Forget tenants that are gone and find tables that were made anew. Slow and rare."""
    standing.forget_strangers()

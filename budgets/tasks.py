"""The worker's door to the books: what is done later, and what is done again and again.

Fair by turns: a visit ends after a while by itself, and a tenant of which there is more goes to the end of the queue,
behind everybody who waits.

While PostgreSQL is away these tasks say so in a line and leave their work to the next tick: nothing is lost by waiting.
"""

import logging
import random
import time
from datetime import UTC, datetime
from typing import Final

from celery import shared_task
from django.db import DatabaseError, InterfaceError, OperationalError

from budgets.selectors.keeping import installation_days
from budgets.services.alert_telling import tell_channels
from budgets.services.checking import check_books
from budgets.services.engine import EngineUnavailable
from budgets.services.expiry import visit_tenant
from budgets.services.keeping import visit_old_rows
from budgets.services.sweep import sweep_tenants
from budgets.services.visits import visit_books
from kernel.ids import PLATFORM_TAG, Tag
from kernel.tasks import TenantTask
from kernel.turns import Turn
from tenants.selectors.tags import tenant_tags
from tenants.services import checks, due, keeping_visits, standing
from vault.selectors.due import tags_due
from vault.services.checking import CHECKED_EVERY
from vault.tasks import check_references_of_tenant

#: Tenants handed out by one tick; the next tick takes the next ones.
_TENANTS_MAX: Final = 500
#: After it a visit ends by itself, so that one huge tenant does not keep the small ones waiting.
_VISIT_SECONDS_MAX: Final = 2.0
#: Expiry writes under the lock that decisions take: after each batch it is theirs for as long again.
EXPIRY_REST: Final = 1.0
#: Old rows are looked for in so many tenants after a tick, and for so long in each; what is left waits for its turn.
_KEEPING_TENANTS_MAX: Final = 50
_KEEPING_SECONDS_MAX: Final = 5.0

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
    try:
        visit_tenant(tag=Tag(tag), has_time=Turn(seconds=_VISIT_SECONDS_MAX, rest=EXPIRY_REST))
        is_due = due.take_again(tag=Tag(tag))
    except (EngineUnavailable, OperationalError) as error:
        _logger.warning("Expiry of tenant %s was cut off and will be tried again: %s", tag, type(error).__name__)
        return
    if is_due:
        expire_tenant.delay(tag=tag)


@shared_task(name="budgets.sweep_due", time_limit=900)
def sweep_due() -> None:
    """Ask every tenant when it is due, in case a note was lost. Slow and rare."""
    sweep_tenants()


@shared_task(name="budgets.dispatch_rollups", time_limit=30)
def dispatch_rollups() -> None:
    """Have the tenants visited whose books have something new, and no others; those that waited longest first."""
    try:
        standing.enrol_tenants()
        standing.follow_evidence()
        tags = standing.ask_for_visits(limit=_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody was asked for rollups: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        roll_up_tenant.apply_async(kwargs={"tag": tag}, expires=standing.RETRY_AFTER_S)


@shared_task(base=TenantTask, name="budgets.roll_up_tenant", time_limit=45)
def roll_up_tenant(*, tag: str) -> None:
    """Open one tenant's periods that are due, follow its books, seal them, and note how it stands. May run twice."""
    try:
        done = visit_books(tag=Tag(tag), has_time=Turn(seconds=_VISIT_SECONDS_MAX))
        has_more = not done.is_done and standing.ask_again(tag=Tag(tag))
    except OperationalError as error:
        _logger.warning("The rollup of tenant %s was cut off and will be tried again: %s", tag, type(error).__name__)
        return
    if has_more:
        roll_up_tenant.apply_async(kwargs={"tag": tag}, expires=standing.RETRY_AFTER_S)


@shared_task(name="budgets.sweep_standings", time_limit=300)
def sweep_standings() -> None:
    """Forget tenants that are gone and find tables that were made anew. Slow and rare."""
    standing.forget_strangers()
    checks.forget_strangers()
    keeping_visits.forget_strangers()


@shared_task(name="budgets.dispatch_checks", time_limit=30)
def dispatch_checks() -> None:
    """Have the books checked that were not checked for a day, one tenant's after the other's."""
    _ask_for_a_check()


def _ask_for_a_check() -> None:
    try:
        tags = checks.ask_for_checks(limit=1)
    except OperationalError as error:
        _logger.warning("Nobody's books were checked: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        check_tenant.apply_async(kwargs={"tag": tag}, expires=checks.RETRY_AFTER_S)


# The limit is below `checks.RETRY_AFTER_S`: a check has ended, one way or the other, before it is asked for again.
@shared_task(base=TenantTask, name="budgets.check_tenant", time_limit=3000)
def check_tenant(*, tag: str) -> None:
    """Prove one tenant's books, seals and rollups; what is found is noted, and an error in the log. May run twice.

    It has the next tenant's checked while it is night; while another check is under way it leaves its own to a later
    tick.
    """
    try:
        with checks.alone(tag=Tag(tag)) as is_alone:
            if not is_alone:
                return
            check_books(tag=Tag(tag))
    except OperationalError as error:
        _logger.warning("The check of tenant %s was cut off and will be tried again: %s", tag, type(error).__name__)
    if checks.may_begin(now=datetime.now(UTC)):
        _ask_for_a_check()


@shared_task(name="budgets.dispatch_alerts", time_limit=30)
def dispatch_alerts() -> None:
    """Have the channels told of those tenants that have something to tell, and no others."""
    try:
        tags = standing.ask_for_telling(limit=_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody was told of alerts: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        tell_of_tenant.apply_async(kwargs={"tag": tag}, expires=standing.RETRY_AFTER_S)


# On the queue of webhooks, whose worker waits for other people's servers.
@shared_task(base=TenantTask, name="budgets.tell_of_tenant")
def tell_of_tenant(*, tag: str) -> None:
    """Tell one tenant's channels of its alerts. May run twice."""
    ends_at = time.monotonic() + _VISIT_SECONDS_MAX
    try:
        tell_channels(tag=Tag(tag), has_time=lambda: time.monotonic() < ends_at, chance=random.random)
    except OperationalError as error:
        _logger.warning("Telling of tenant %s was cut off and will be tried again: %s", tag, type(error).__name__)


@shared_task(name="budgets.dispatch_references", time_limit=60)
def dispatch_references() -> None:
    """Have those visited whose credential references nobody has looked at for a while."""
    before = datetime.now(UTC) - CHECKED_EVERY
    try:
        for tag in tags_due(tenant_tags(), before=before):
            check_references_of_tenant.apply_async(kwargs={"tag": tag}, expires=60)
    except DatabaseError as error:
        # A tenant that is being deleted may have lost its tables already: the next tick goes past it.
        _logger.warning("Not all credential references were asked after: %s", type(error).__name__)


@shared_task(name="budgets.dispatch_keeping", time_limit=60)
def dispatch_keeping() -> None:
    """Have those visited whose old rows nobody has looked for since a day, whether anything happens there or not."""
    try:
        keeping_visits.enrol()
        tags = keeping_visits.ask_for_visits(limit=_KEEPING_TENANTS_MAX)
    except OperationalError as error:
        _logger.warning("Nobody's old rows were looked for: %s", str(error).partition("\n")[0])
        return
    for tag in tags:
        if tag == PLATFORM_TAG:
            keep_platform.apply_async(expires=keeping_visits.RETRY_AFTER_S)
        else:
            keep_tenant.apply_async(kwargs={"tag": tag}, expires=keeping_visits.RETRY_AFTER_S)


# The limit is below `keeping_visits.RETRY_AFTER_S`.
@shared_task(base=TenantTask, name="budgets.keep_tenant", time_limit=600)
def keep_tenant(*, tag: str) -> None:
    """Archive and drop what one tenant keeps no longer. May run twice."""
    _visit_old_rows(Tag(tag))


@shared_task(name="budgets.keep_platform", time_limit=600)
def keep_platform() -> None:
    """The same for the platform's own events. May run twice."""
    _visit_old_rows(PLATFORM_TAG)


def _visit_old_rows(tag: Tag) -> None:
    turn = Turn(seconds=_KEEPING_SECONDS_MAX)
    try:
        visit_old_rows(tag=tag, installation=installation_days(), now=datetime.now(UTC), has_time=turn)
    except (OperationalError, InterfaceError) as error:
        _logger.warning("Old rows of %s were left to the next visit: %s", tag, type(error).__name__)

"""The worker's door to the books: what is done later, and what is done again and again."""

import time
from typing import Final

from celery import shared_task

from budgets.services.expiry import visit_tenant
from budgets.services.sweep import sweep_tenants
from kernel.ids import Tag
from kernel.tasks import TenantTask
from tenants.services import due

#: Tenants handed out by one tick; the next tick takes the next ones.
_TENANTS_MAX: Final = 500
#: After it a visit ends by itself and the tenant stays due.
_VISIT_SECONDS_MAX: Final = 10.0


@shared_task(name="budgets.dispatch_expiry", time_limit=30)
def dispatch_expiry() -> None:
    """Have the tenants visited that are due, and no others."""
    for tag in due.take_due(limit=_TENANTS_MAX):
        expire_tenant.delay(tag=tag)


# Well below `due.RETRY_AFTER`: a visit has ended, one way or the other, before the next one begins.
@shared_task(base=TenantTask, name="budgets.expire_tenant", time_limit=30)
def expire_tenant(*, tag: str) -> None:
    """Expire what is due in one tenant. May run twice."""
    ends_at = time.monotonic() + _VISIT_SECONDS_MAX
    visit_tenant(tag=Tag(tag), has_time=lambda: time.monotonic() < ends_at)


@shared_task(name="budgets.sweep_due", time_limit=900)
def sweep_due() -> None:
    """Ask every tenant when it is due, in case a note was lost. Slow and rare."""
    sweep_tenants()

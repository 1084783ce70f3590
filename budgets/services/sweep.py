"""Finding tenants whose time of expiry was noted nowhere: the process that should have noted it was killed."""

import logging

from django.db import Error

from budgets.selectors.due_reservations import next_due_at
from budgets.services.forgetting import forget_what_is_over
from kernel.ids import Tag
from kernel.tenancy import in_tenant, schema_exists
from tenants.selectors.tags import tenant_tags
from tenants.services.due import forget_strangers, lower_due

_logger = logging.getLogger(__name__)


def sweep_tenants() -> None:
    """Note for every tenant when it is due next, and forget what is over. Safe to repeat and to cut off."""
    forget_strangers()
    for tag in tenant_tags():
        try:
            _sweep(tag)
        except Error as error:
            # One broken schema must not hide the tenants behind it. Its text may quote rows, its kind is enough.
            sqlstate = getattr(error.__cause__, "sqlstate", None)
            _logger.error("Tenant %s could not be asked when it is due: %s %s.", tag, type(error).__name__, sqlstate)


def _sweep(tag: Tag) -> None:
    # A tenant may go while we are on the way.
    if not schema_exists(tag):
        return
    with in_tenant(tag):
        due_at = next_due_at()
        forget_what_is_over()
    if due_at is not None:
        lower_due({tag: due_at})

"""The worker's door to credential references. Messages name the tenant, never a place and never a secret."""

import logging
import time
from typing import Final

from celery import shared_task
from django.db import OperationalError

from kernel.ids import Tag
from kernel.tasks import TenantTask
from vault.services.checking import check_references
from vault.services.lease_ends import end_left_at_store

#: After it a visit ends by itself; the rest is due still.
_VISIT_SECONDS_MAX: Final = 10.0

_logger = logging.getLogger(__name__)


@shared_task(base=TenantTask, name="vault.check_references_of_tenant")
def check_references_of_tenant(*, tag: str) -> None:
    """End leases that are over, then look whether a tenant's references lead to something. May run twice."""
    ends_at = time.monotonic() + _VISIT_SECONDS_MAX

    def has_time() -> bool:
        return time.monotonic() < ends_at

    try:
        end_left_at_store(tag=Tag(tag), has_time=has_time)
        check_references(tag=Tag(tag), has_time=has_time)
    except OperationalError as error:
        _logger.warning("The references of tenant %s were left to the next visit: %s", tag, type(error).__name__)

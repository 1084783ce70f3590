"""What nothing is judged by any more is forgotten, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from budgets.models import QuotaCounter, Run
from budgets.services.forgetting import RUN_DAYS, forget_what_is_over
from kernel.tenancy import in_tenant
from tenants.models import Tenant


@pytest.mark.parametrize(
    ("hours_over", "is_kept"), [(-1, True), (23, True), (25, False)], ids=["counts", "just over", "long over"]
)
def test_forgets_a_window_a_day_after_it_is_over(acme: Tenant, hours_over: int, *, is_kept: bool) -> None:
    with in_tenant(acme.tag):
        QuotaCounter.objects.create(key="q", used=1, expires_at=datetime.now(UTC) - timedelta(hours=hours_over))

        forget_what_is_over()

        assert QuotaCounter.objects.exists() is is_kept


@pytest.mark.parametrize(("days", "is_kept"), [(-1, True), (RUN_DAYS - 1, True), (RUN_DAYS + 1, False)])
def test_forgets_a_run_that_nobody_heard_of_for_long(acme: Tenant, days: int, *, is_kept: bool) -> None:
    with in_tenant(acme.tag):
        Run.objects.create(
            run_id="r", started_at=datetime.now(UTC), lease_until=datetime.now(UTC) - timedelta(days=days)
        )

        forgotten = forget_what_is_over()

        assert Run.objects.exists() is is_kept
        assert forgotten == (not is_kept)

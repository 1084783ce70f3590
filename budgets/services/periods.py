"""Opening the periods that are due, outside the hot path (which opens those that it touches by itself)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
from django.db import OperationalError, connections, transaction

from budgets.models import Budget
from budgets.models.choices import BudgetStatus
from budgets.selectors.due_reservations import DatabaseNow
from kernel.tenancy import CELL

#: Who only looks waits so long for the books of one tenant: a page shows many.
_WAIT_MS_MAX: Final = 250
#: Budgets and periods of one transaction of the worker: while it runs, the tenant's calls wait.
_BUDGETS_AT_ONCE: Final = 200
_PERIODS_AT_ONCE: Final = 200


class BooksBusy(Exception):
    """Somebody else held the tenant's books all the while."""


def open_due_periods(budget_ids: Sequence[UUID]) -> int:
    """Bring these budgets of the current schema into the period that holds now; the number of periods opened.

    Safe to repeat: a budget whose period is not over is left alone. Raises `BooksBusy`.
    """
    return _open(budget_ids, periods_max=None)


def open_periods_that_wait(*, has_time: Callable[[], bool]) -> int:
    """Open what is due for all budgets of the current schema, also of those that nobody uses; how many were opened.

    A step at a time, until nothing is due or `has_time` says no. Safe to repeat, to run twice at once, and to be killed
    anywhere: a period is opened once, by whoever comes first. Raises `BooksBusy`, having kept the steps before.
    """
    opened = 0
    while due := _due_budgets():
        step = _open(due, periods_max=_PERIODS_AT_ONCE)
        opened += step
        # None of them: somebody else did it meanwhile, or their clock is not ours.
        if not step or not has_time():
            break
    return opened


def next_period_at() -> datetime | None:
    """When the next period of the current schema's budgets begins; it may be past. None where no budget has any."""
    return (
        Budget.objects.filter(period_ends_at__isnull=False)
        .exclude(status=BudgetStatus.CLOSED)
        .order_by("period_ends_at")
        .values_list("period_ends_at", flat=True)
        .first()
    )


def _due_budgets() -> list[UUID]:
    due = Budget.objects.filter(period_ends_at__lte=DatabaseNow()).exclude(status=BudgetStatus.CLOSED)
    return list(due.order_by("period_ends_at").values_list("pk", flat=True)[:_BUDGETS_AT_ONCE])


def _open(budget_ids: Sequence[UUID], *, periods_max: int | None) -> int:
    try:
        with transaction.atomic(using=CELL), connections[CELL].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_WAIT_MS_MAX}ms"])
            cursor.execute(
                "SELECT roll_periods_v1(%s::uuid[], date_trunc('milliseconds', clock_timestamp()), %s::int)",
                [list(budget_ids), periods_max],
            )
            return int(cursor.fetchone()[0])
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise BooksBusy from None
        raise


def with_periods_open(budgets: Sequence[Budget], *, now: datetime) -> list[Budget]:
    """These budgets of the current schema, in their order, each in the period that holds `now`. Raises `BooksBusy`."""
    due = [
        budget.pk
        for budget in budgets
        if budget.period_ends_at is not None and budget.period_ends_at <= now and budget.status != BudgetStatus.CLOSED
    ]
    if not due:
        return list(budgets)
    open_due_periods(due)
    opened = Budget.objects.in_bulk(due)
    return [opened.get(budget.pk, budget) for budget in budgets]

"""Opening the periods that are due, outside the hot path (which opens those that it touches by itself)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
from django.db import OperationalError, connections, transaction

from budgets.models import Budget
from budgets.models.choices import BudgetStatus
from kernel.tenancy import CELL

#: Who only looks waits so long for the books of one tenant: a page shows many.
_WAIT_MS_MAX: Final = 250


class BooksBusy(Exception):
    """Somebody else held the tenant's books all the while."""


def open_due_periods(budget_ids: Sequence[UUID]) -> int:
    """Bring these budgets of the current schema into the period that holds now; the number of periods opened.

    Safe to repeat: a budget whose period is not over is left alone. Raises `BooksBusy`.
    """
    try:
        with transaction.atomic(using=CELL), connections[CELL].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_WAIT_MS_MAX}ms"])
            cursor.execute(
                "SELECT roll_periods_v1(%s::uuid[], date_trunc('milliseconds', clock_timestamp()))", [list(budget_ids)]
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

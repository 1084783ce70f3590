"""Opening the periods that are due, outside the hot path (which opens those that it touches by itself)."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connections, transaction

from kernel.tenancy import CELL


def open_due_periods(budget_ids: Sequence[UUID]) -> int:
    """Bring these budgets of the current schema into the period that holds now; the number of periods opened.

    Safe to repeat: a budget whose period is not over is left alone.
    """
    with transaction.atomic(using=CELL), connections[CELL].cursor() as cursor:
        cursor.execute(
            "SELECT roll_periods_v1(%s::uuid[], date_trunc('milliseconds', clock_timestamp()))", [list(budget_ids)]
        )
        return int(cursor.fetchone()[0])

"""Giving back what is held, many reservations at once: for a budget or a tenant that is stopped for good."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from budgets.models import Budget, Reservation
from budgets.models.choices import ReservationStatus
from budgets.services.journal import Journal
from budgets.services.operations import Operation
from kernel.ids import uuid7

#: So many releases in one statement: each stays far below the statement timeout.
_BATCH: Final = 200


class HoldsAreActive(Exception):
    """Money is held on the budget. Let it settle, or ask for the holds to be cancelled."""

    def __init__(self, *, holds: int, reserved: int) -> None:
        super().__init__()
        self.holds = holds
        self.reserved = reserved


class HoldNotReleased(Exception):
    """The engine refused to release an active hold, which it never should."""


def active_holds(budget: Budget | None = None) -> QuerySet[Reservation]:
    """The active reservations of the tenant, or those that touch one budget."""
    holds = Reservation.objects.filter(status=ReservationStatus.ACTIVE)
    return holds if budget is None else holds.filter(budget_ids__contains=[budget.pk])


def release_holds(journal: Journal, holds: QuerySet[Reservation]) -> int:
    """Release these reservations through the engine, within the journal's transaction; how many there were.

    Budgets that were read before are stale afterwards.
    """
    released = 0
    # The head is held, so none can be added while this runs. In the order of the index that has the active ones alone,
    # and from behind the last one: what is settled, before or just now, is not read again by every batch.
    rest = holds
    while batch := list(rest.order_by("due_at", "id").values_list("id", "due_at")[:_BATCH]):
        _release(journal, [reservation_id for reservation_id, _ in batch])
        released += len(batch)
        last_id, last_due_at = batch[-1]
        rest = holds.filter(Q(due_at__gt=last_due_at) | Q(id__gt=last_id), due_at__gte=last_due_at)
    return released


def stop_holds(journal: Journal, budget: Budget, *, cancel: bool) -> int:
    """Have no hold on the budget: release them if `cancel`, else raise `HoldsAreActive` if there are any."""
    holds = active_holds(budget)
    if cancel:
        released = release_holds(journal, holds)
        budget.refresh_from_db()
        return released
    if (count := holds.count()) > 0:
        raise HoldsAreActive(holds=count, reserved=budget.reserved)
    return 0


def _release(journal: Journal, targets: Sequence[UUID]) -> None:
    actor = journal.actor
    answers = journal.settle(
        [
            Operation(
                op="release",
                id=uuid7(),
                target=target,
                is_trusted=True,
                actor=actor.name,
                reason=actor.reason or None,
                request_id=actor.request_id or None,
                trace_id=actor.trace_id or None,
            )
            for target in targets
        ]
    )
    for answer in answers:
        if answer.status != "OK":
            raise HoldNotReleased(answer.status)

"""Reservations whose time is over, of the tenant whose schema the connection is in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import DateTimeField, Func, Q

from budgets.models import Reservation
from budgets.models.choices import ReservationStatus


class DatabaseNow(Func):
    """The clock that decides, cut to the milliseconds in which reservations are kept."""

    template = "date_trunc('milliseconds', clock_timestamp())"
    output_field = DateTimeField()


@dataclass(frozen=True, slots=True)
class DueReservation:
    id: UUID
    due_at: datetime


def due_reservations(*, after: DueReservation | None, limit: int) -> list[DueReservation]:
    """Active reservations past their grace period by the database's clock, the oldest first, from behind `after`."""
    due = Reservation.objects.filter(status=ReservationStatus.ACTIVE, due_at__lt=DatabaseNow())
    if after is not None:
        due = due.filter(Q(due_at__gt=after.due_at) | Q(due_at=after.due_at, id__gt=after.id), due_at__gte=after.due_at)
    rows = due.order_by("due_at", "id").values_list("id", "due_at")[:limit]
    return [DueReservation(id=reservation_id, due_at=due_at) for reservation_id, due_at in rows]


def next_due_at() -> datetime | None:
    """When the next active reservation is over, grace included; None where none is active. It may be past."""
    return (
        Reservation.objects.filter(status=ReservationStatus.ACTIVE)
        .order_by("due_at")
        .values_list("due_at", flat=True)
        .first()
    )

"""Requests for money of the tenant whose schema the connection is in."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from budgets.models import BudgetRequest
from budgets.models.choices import RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request; amounts in `unit`. `granted` is None unless it was granted."""

    id: UUID
    scope_path: str
    unit: str
    amount: int
    reason: str
    asked_by: str
    asked_at: datetime
    state: RequestState
    granted: int | None
    answer: str
    answered_by: str
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class RequestPage:
    """`next_before` is the id to ask from for the next page, None on the last one."""

    requests: tuple[RequestLine, ...]
    next_before: UUID | None


_COLUMNS = tuple(field.name for field in fields(RequestLine))


def request_page(*, before: UUID | None = None, limit: int) -> RequestPage:
    """Requests, the newest first. One query, two from the second page on."""
    found = BudgetRequest.objects.order_by("-asked_at", "-id")
    if before is not None:
        last_at = BudgetRequest.objects.filter(pk=before).values_list("asked_at", flat=True).first()
        if last_at is None:
            return RequestPage((), None)
        found = found.filter(Q(asked_at__lt=last_at) | Q(asked_at=last_at, id__lt=before))
    lines = [_line(row) for row in found[: limit + 1]]
    return RequestPage(tuple(lines[:limit]), next_before=lines[limit - 1].id if len(lines) > limit else None)


def request_line(request_id: UUID) -> RequestLine | None:
    row = BudgetRequest.objects.filter(pk=request_id).first()
    return _line(row) if row else None


def _line(row: BudgetRequest) -> RequestLine:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return RequestLine(**values | {"state": RequestState(row.state)})

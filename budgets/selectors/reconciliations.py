"""Reconciliations that were kept, of the tenant whose schema the connection is in."""

from uuid import UUID

from budgets.models import Reconciliation

__all__ = ["Reconciliation", "latest_reconciliations", "reconciliation"]


def latest_reconciliations(*, limit: int) -> list[Reconciliation]:
    """The newest first, without their differences. One query."""
    return list(Reconciliation.objects.defer("differences").order_by("-at")[:limit])


def reconciliation(wanted: UUID) -> Reconciliation | None:
    """One query."""
    return Reconciliation.objects.filter(pk=wanted).first()

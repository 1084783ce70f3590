"""How many runs there were, in the books of the tenant whose schema the connection is in."""

from datetime import datetime

from budgets.models import Run


def runs_since(at: datetime) -> int:
    """Runs that began at `at` or later."""
    return Run.objects.filter(started_at__gte=at).count()


def runs_under_way(*, now: datetime) -> int:
    """Runs whose lease has not ended and that have not given up."""
    return Run.objects.filter(lease_until__gt=now, gave_up_at=None).count()

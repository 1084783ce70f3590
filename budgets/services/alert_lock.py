"""One at a time: whoever changes a tenant's alerts, or their rules, holds the tenant's mark."""

from datetime import datetime

from django.db import connection

from budgets.models import AlertMark


def lock_alerts() -> datetime:
    """Hold the tenant's alerts until the transaction ends; the database's clock, read after that."""
    AlertMark.objects.bulk_create([AlertMark(id=1)], ignore_conflicts=True)
    AlertMark.objects.select_for_update().get(pk=1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now

"""Deliveries are kept for looking into what went wrong, and not for longer. Events and the audit trail stay."""

from datetime import datetime, timedelta
from typing import Final

from telemetry.models import WebhookDelivery
from telemetry.services.archiving import database_now

#: The protocol's.
KEPT_FOR: Final = timedelta(days=14)
#: Forgotten by one visit; what is left is for the next.
_STEP: Final = 1_000


def forget_old_deliveries(*, now: datetime) -> int:
    """Forget the oldest of the schema that the connection is in; how many. Safe to repeat.

    What still waits after so long belongs to a webhook that is paused or disabled, and would be no news any more.
    They are numbered in the order of their making, so that where none is old this reads a single row.
    """
    until = now - KEPT_FOR
    rows = WebhookDelivery.objects.order_by("pk")
    oldest = rows.values_list("created_at", flat=True).first()
    if oldest is None or oldest >= until:
        return 0
    # A worker whose clock jumped must not lose what nobody was told of yet.
    until = min(until, database_now() - KEPT_FOR)
    first = list(rows.values_list("pk", flat=True)[:_STEP])
    forgotten, _ = WebhookDelivery.objects.filter(pk__in=first, created_at__lt=until).delete()
    return forgotten

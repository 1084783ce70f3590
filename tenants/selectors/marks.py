"""How far the work that happens later is behind, from the shared lists of who has something to be done."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Count, Min, Q

from kernel.ids import PLATFORM_TAG
from kernel.sql_files import read_sql
from kernel.tenancy import in_public
from tenants.models import KeepingVisit, WebhookDue

#: A tenant whose oldest event has waited longer is behind.
BEHIND_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Mark:
    """One kind of work: so many tenants wait, and it is so late. Both are 0 when nothing waits."""

    name: str
    tenants: int
    lag_s: float


def marks() -> tuple[Mark, ...]:
    """Expiry, rollups, webhooks, evidence, periods and seals. One query, of the size of the lists."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "marks"))
        return tuple(
            Mark(name=name, tenants=tenants, lag_s=max(lag_s, 0)) for name, tenants, lag_s in cursor.fetchall()
        )


@dataclass(frozen=True, slots=True)
class LateOutboxes:
    """Of all tenants, as their last visits left them: since when the oldest event waits, and how many are behind."""

    oldest_at: datetime | None
    behind: int


def late_outboxes(*, now: datetime) -> LateOutboxes:
    """One query, of the size of the list."""
    with in_public():
        found = WebhookDue.objects.exclude(tag=PLATFORM_TAG).aggregate(
            oldest=Min("oldest_at"), behind=Count("pk", filter=Q(oldest_at__lte=now - BEHIND_AFTER))
        )
    return LateOutboxes(oldest_at=found["oldest"], behind=found["behind"])


def troubled_keepings() -> int:
    """Tenants, and the platform, whose old rows could not all be archived at the last try."""
    with in_public():
        return KeepingVisit.objects.exclude(trouble="").count()

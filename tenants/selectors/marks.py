"""How far the work that happens later is behind, from the shared lists of who has something to be done."""

from dataclasses import dataclass

from django.db import connection

from kernel.sql_files import read_sql
from kernel.tenancy import in_public


@dataclass(frozen=True, slots=True)
class Mark:
    """One kind of work: so many tenants wait, and it is so late. Both are 0 when nothing waits."""

    name: str
    tenants: int
    lag_s: float


def marks() -> tuple[Mark, ...]:
    """Expiry, rollups, webhooks and evidence. One query, of the size of the lists."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "marks"))
        return tuple(
            Mark(name=name, tenants=tenants, lag_s=max(lag_s, 0)) for name, tenants, lag_s in cursor.fetchall()
        )

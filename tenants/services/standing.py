"""Keeping the notes on how tenants stand, and finding out whose is old.

Nobody who writes in a tenant's books says so here: that would cost the hot path. PostgreSQL counts the rows inserted
into each table for its own purposes. A tenant whose count is another one than at the last visit has something new
(`docs/decisions/rollups-follow-row-counts.md`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Case, DateTimeField, F, Value, When
from django.db.models.functions import Now

from kernel.ids import Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_public
from tenants.models import TenantStanding

#: When a visit that was asked for and never ended is asked for again.
RETRY_AFTER_S: Final = 60

_FORGET_STRANGERS: Final = """
    DELETE FROM tenant_standing AS s
    WHERE NOT EXISTS (SELECT FROM tenant AS t WHERE t.schema_name = 't_' || s.tag)
"""
#: A table of the same name may have been made anew, as by a restore: then it has another oid and a count of its own.
_FIND_TABLES: Final = """
    UPDATE tenant_standing AS s SET ledger_table = f.ledger_table, decision_table = f.decision_table
    FROM (
        SELECT tag, to_regclass('t_' || tag || '.ledger_entry')::oid::bigint AS ledger_table,
            to_regclass('t_' || tag || '.decision')::oid::bigint AS decision_table
        FROM tenant_standing
    ) AS f
    WHERE f.tag = s.tag AND f.ledger_table IS NOT NULL AND f.decision_table IS NOT NULL
        AND (f.ledger_table, f.decision_table) <> (s.ledger_table, s.decision_table)
"""
_ASK_AGAIN: Final = """
    UPDATE tenant_standing SET asked_at = clock_timestamp() WHERE tag = %s AND (asked_at IS NULL OR asked_at <= as_of)
"""
_READ_VISIT: Final = """
    SELECT pg_stat_get_tuples_inserted(ledger_table::oid) + pg_stat_get_tuples_inserted(decision_table::oid),
        quarters_until, mean_hour_7d
    FROM tenant_standing
    WHERE tag = %s
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known before a visit: how many rows were ever inserted, and the mean that was noted last, and when."""

    inserts: int
    quarters_until: datetime | None
    mean_hour_7d: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingNote:
    """What a visit found; the fields are those of `TenantStanding`."""

    as_of: datetime
    revisit_at: datetime | None
    unit: str
    period: str
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    allocated: int
    reserved: int
    spent: int
    debt: int
    overdraft_limit: int
    budget_status: str
    is_over_limit: bool
    more_budgets: int
    taken_ppm: int
    day_starts_at: datetime
    day_ends_at: datetime
    spent_today: int
    spent_hour: int
    calls_hour: int
    quarters_until: datetime
    quarters: tuple[Decimal, ...]
    mean_hour_7d: Decimal
    exhausts_at: datetime | None
    denied_hour: int
    denied_causes: Mapping[str, int]
    top_agent: str
    top_agent_ppm: int
    holds_open: int
    oldest_hold_at: datetime | None
    period_due_at: datetime | None = None
    seal_due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNote:
    """The open alerts that nobody put off: how many, the worst one, and when a channel has something to tell."""

    alerts_open: int
    alert_severity: int
    alert_words: str
    tell_at: datetime | None


def enrol_tenants() -> int:
    """Give every tenant with books a line of its own, to be visited soon; how many had none. Safe to repeat."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "enrol_standings"))
        return int(cursor.rowcount)


def ask_for_visits(*, limit: int) -> list[Tag]:
    """Tenants with something new, or whose note is no longer true by itself: those noted longest ago first.

    Each at most once in `RETRY_AFTER_S`, or again as soon as it was visited.
    """
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "ask_for_visits"), {"retry_after_s": RETRY_AFTER_S, "at_most": limit})
        return [Tag(tag) for (tag,) in cursor.fetchall()]


def ask_again(*, tag: Tag) -> bool:
    """Ask for the next visit of a tenant of which there is more to be read; False where somebody has asked already."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_ASK_AGAIN, [tag])
        return bool(cursor.rowcount)


def read_visit(*, tag: Tag) -> Visit:
    """To be called before the visit reads anything of the tenant's: what comes in meanwhile is for the next one."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_READ_VISIT, [tag])
        row = cursor.fetchone()
        if row is None:
            cursor.execute(read_sql("tenants", "enrol_standings"))
            cursor.execute(_READ_VISIT, [tag])
            row = cursor.fetchone()
    if row is None:
        return Visit(inserts=-1, quarters_until=None, mean_hour_7d=None)
    return Visit(inserts=row[0], quarters_until=row[1], mean_hour_7d=row[2])


def note_standing(*, tag: Tag, note: StandingNote, inserts_seen: int | None) -> None:
    """Write down what a visit found, and as of which number of inserted rows; None where there is more to be read.

    An older note never takes the place of a newer one, and a look that was asked for meanwhile stays asked for.
    """
    asked_for = When(revisit_at__gt=note.as_of, revisit_at__lte=Now(), then=F("revisit_at"))
    revisit_at = Case(asked_for, default=Value(note.revisit_at), output_field=DateTimeField())
    columns: dict[str, Any] = asdict(note) | {"quarters": list(note.quarters), "revisit_at": revisit_at}
    if inserts_seen is not None:
        columns["inserts_seen"] = inserts_seen
    with in_public():
        lines = TenantStanding.objects.filter(tag=tag)
        (lines.exclude(as_of__gt=note.as_of)).update(**columns)


def note_alerts(*, tag: Tag, read: Callable[[], AlertNote]) -> None:
    """Write down what `read` finds in the tenant's schema. Safe to repeat.

    It is asked while the line is held: of two at once the one that writes last has also read last.
    """
    with in_public(), transaction.atomic():
        if not TenantStanding.objects.select_for_update().filter(tag=tag).exists():
            return
        TenantStanding.objects.filter(tag=tag).update(**asdict(read()))


def ask_for_telling(*, limit: int) -> list[Tag]:
    """Tenants whose channels have something to tell; each at most once in `RETRY_AFTER_S`, or until it was noted."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "ask_for_telling"), {"retry_after_s": RETRY_AFTER_S, "at_most": limit})
        return [Tag(tag) for (tag,) in cursor.fetchall()]


def look_soon(*, tags: Sequence[Tag]) -> None:
    """Have these tenants visited though nothing is new in their books: something was found beside them."""
    with in_public():
        TenantStanding.objects.filter(tag__in=tags).update(revisit_at=Now())


def follow_evidence() -> int:
    """Have those visited in whose evidence something was found after their last visit; how many. Safe to repeat."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(read_sql("tenants", "follow_evidence"))
        return int(cursor.rowcount)


def forget_strangers() -> None:
    """Drop the notes of tenants that are no longer in the directory, and find tables that were made anew."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute(_FORGET_STRANGERS)
        cursor.execute(_FIND_TABLES)

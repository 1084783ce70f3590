"""A tenant's books in pages, for files of any length: each page is a query of its own, so that none holds a snapshot.

The schema is entered for each page alone: what is sent to a browser outlives the view that began it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from budgets.models import Decision, UsageRollup
from kernel.ids import Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant

PAGE: Final = 2_000
#: How far the clock of whoever made an id may be from the database's.
_CLOCKS_APART: Final = timedelta(days=1)
_KEY: Final = ("bucket_at", "scope_path", "model", "tool", "traffic_class", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Of which tenant, from `since` to before `until`."""

    tag: Tag
    since: datetime
    until: datetime


def usage_rows(books: Books) -> Iterator[UsageRollup]:
    """Rollups in order of their keys."""
    last: tuple[Any, ...] | None = None
    while True:
        found = UsageRollup.objects.filter(bucket_at__gte=books.since, bucket_at__lt=books.until)
        if last is not None:
            found = found.filter(pk__gt=last)
        with in_tenant(books.tag):
            rows = list(found.order_by(*_KEY)[:PAGE])
        yield from rows
        if len(rows) < PAGE:
            return
        last = tuple(getattr(rows[-1], name) for name in _KEY)


def ledger_rows(books: Books) -> Iterator[Mapping[str, Any]]:
    """Entries by their numbers, as `export_ledger.sql` names their columns."""
    bounds = {"since": books.since, "until": books.until}
    ((after, until),) = [tuple(row.values()) for row in _rows(books.tag, "ledger_bounds", bounds)]
    while after < until:
        rows = _rows(books.tag, "export_ledger", {"after": after, "until": until, "at_most": PAGE})
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1]["seq"]


def decision_rows(books: Books) -> Iterator[Decision]:
    """Decisions in order of their ids, which are made in order of time; by `at` whether they belong here."""
    last = _first_id(books.since - _CLOCKS_APART)
    end = _first_id(books.until + _CLOCKS_APART)
    while True:
        with in_tenant(books.tag):
            rows = list(Decision.objects.filter(pk__gt=last, pk__lt=end).order_by("pk")[:PAGE])
        yield from (row for row in rows if books.since <= row.at < books.until)
        if len(rows) < PAGE:
            return
        last = rows[-1].pk


def _rows(tag: Tag, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with in_tenant(tag), connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", name), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _first_id(at: datetime) -> UUID:
    """The least id that could have been made then: a UUID of version 7 begins with its milliseconds."""
    return UUID(int=max(int(at.timestamp() * 1000), 0) << 80)

"""Reading the books for a proof: in ranges of numbers, each a short statement, so that no old snapshot stands about."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.db import connection, transaction

from kernel.sql_files import read_sql

#: Entries read by one statement.
RANGE = 10_000
#: Differences of one sort that are named; the first ones tell.
NAMED_MAX = 20
_STATEMENT_SECONDS_MAX: Final = 60

type Row = Mapping[str, Any]


def ranges(after: int, until: int) -> Iterator[dict[str, int]]:
    """The entries behind `after` up to `until`, part by part."""
    for begin in range(after, until, RANGE):
        yield {"after": begin, "until": min(begin + RANGE, until)}


def read(name: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
    """The rows of a statement of ours, in a transaction of its own."""
    with transaction.atomic(durable=True):
        return rows(name, parameters)


def rows(name: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
    """The same in the transaction that is open."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS_MAX}s'")
        cursor.execute(read_sql("budgets", name), {"at_most": NAMED_MAX, **(parameters or {})})
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

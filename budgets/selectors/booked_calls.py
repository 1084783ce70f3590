"""The charges of a time as a reconciliation compares them, of the tenant whose schema the connection is in."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from budgets.reconciling.calls import Booked
from budgets.selectors.ledger_beginning import require_in_ledger
from budgets.selectors.ledger_times import last_seq_before
from kernel.sql_files import read_sql

#: Entries read by one statement: short, because an old snapshot makes the hot rows slow.
_STEP: Final = 5_000


def booked_calls(*, since: datetime, until: datetime, scope_path: str = "") -> Iterator[Booked]:
    """Commits and events of models from `since` to before `until`, at or below `scope_path`, in order.

    Raises `BeforeTheLedger` where some were archived: they would all seem to be missing.
    """
    require_in_ledger(since)
    after, last = last_seq_before(since), last_seq_before(until)
    while after < last:
        step = min(after + _STEP, last)
        parameters: dict[str, Any] = {"after": after, "until": step, "scope_path": scope_path}
        with connection.cursor() as cursor:
            cursor.execute(read_sql("budgets", "booked_calls"), parameters)
            rows = cursor.fetchall()
        yield from map(_booked, rows)
        after = step


def _booked(row: tuple[Any, ...]) -> Booked:
    seq, at, model, provider, prefix, ids, scope_path, tokens_input, tokens_output, cost = row
    return Booked(
        seq=seq,
        at=at,
        model=model,
        provider=provider.lower(),
        prefix=prefix,
        references=tuple(ids),
        scope_path=scope_path,
        tokens_input=_whole(tokens_input),
        tokens_output=_whole(tokens_output),
        cost=_whole(cost),
    )


def _whole(number: Decimal | None) -> int | None:
    return None if number is None else int(number)

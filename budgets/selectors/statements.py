"""What a tenant was charged in a calendar month of its own time zone, from the ledger itself and not from sums of it.

A statement of a month that is over never changes: entries are only ever added, and a correction counts when it is made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final

from django.db import connection, transaction

from budgets.models.choices import EntryKind
from budgets.selectors.ledger_beginning import require_in_ledger
from budgets.selectors.steps import local_midnight
from kernel.sql_files import read_sql

#: Charges from another period that a statement lists one by one.
CARRIED_MAX: Final = 200
# A statement reads a whole month; the pages' own limit is for pages.
_TIMEOUT: Final = "SET LOCAL statement_timeout = '60s'"


class NotAMonth(Exception):
    """Not written like 2026-11."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A calendar month of a time zone: from `starts_at` to before `ends_at`."""

    first: date
    time_zone: str

    @property
    def text(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def next_first(self) -> date:
        """The first day of the month after it."""
        return _next(self.first)

    @property
    def starts_at(self) -> datetime:
        return local_midnight(self.first, time_zone=self.time_zone)

    @property
    def ends_at(self) -> datetime:
        return local_midnight(self.next_first, time_zone=self.time_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """Charges of one kind; amounts in `unit`. Who has no such thing has the name ''. A line names a model or a tool.

    `uncovered` was really spent and not charged. `carried` of the calls were asked for in an earlier period.
    """

    unit: str
    is_correction: bool
    workspace: str
    model: str
    tool: str
    calls: int
    charged: int
    uncovered: int
    carried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedCharge:
    """A charge that landed in a later period than it was asked in, or the correction of one of an earlier period."""

    seq: int
    kind: EntryKind
    unit: str
    asked_at: datetime
    booked_at: datetime
    charged: int
    scope_path: str
    action_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTotal:
    """Of all lines in one unit; `charged` is with the corrections, `corrected` is what those alone come to."""

    unit: str
    calls: int
    charged: int
    corrected: int
    uncovered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`carried` are the first of `carried_count`. `after` and `until` bound the entries that it is made of."""

    month: Month
    after: int
    until: int
    lines: tuple[StatementLine, ...]
    carried: tuple[CarriedCharge, ...]

    @property
    def carried_count(self) -> int:
        return sum(line.carried for line in self.lines)

    @property
    def totals(self) -> tuple[UnitTotal, ...]:
        """One for each unit, money first."""
        units = dict.fromkeys(line.unit for line in self.lines)
        return tuple(_total(unit, [line for line in self.lines if line.unit == unit]) for unit in units)


def read_month(text: str, *, time_zone: str) -> Month:
    """The month written like `2026-11`. Raises `NotAMonth`."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise NotAMonth(text) from None
    # The last year has no next month; and what `fromisoformat` reads in other ways is not an address of ours.
    if f"{first:%Y-%m}" != text or first.year >= date.max.year:
        raise NotAMonth(text)
    return Month(first=first, time_zone=time_zone)


def months_since(since: datetime, *, until: datetime, time_zone: str, limit: int) -> list[Month]:
    """The months from the one that holds `since` to the one that holds `until`, the latest first."""
    oldest = since.astimezone(local_midnight(date(2000, 1, 1), time_zone=time_zone).tzinfo).date().replace(day=1)
    first = until.astimezone(local_midnight(date(2000, 1, 1), time_zone=time_zone).tzinfo).date().replace(day=1)
    months: list[Month] = []
    while first >= oldest and len(months) < limit:
        months.append(Month(first=first, time_zone=time_zone))
        first = _before(first)
    return months


def statement(month: Month) -> Statement:
    """The month as the books say it now, of the tenant whose schema the connection is in. Four queries.

    Raises `BeforeTheLedger` where entries of the month were archived.
    """
    moments = {"since": month.starts_at, "until": month.ends_at}
    # One snapshot for all three: lines, totals and what is listed one by one agree.
    with transaction.atomic():
        _run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", {})
        _run(_TIMEOUT, {})
        require_in_ledger(month.starts_at)
        ((after, until),) = _rows(read_sql("budgets", "ledger_bounds"), moments)
        bounds = {"after": after, "until": until, "starts_at": month.starts_at}
        lines = _rows(read_sql("budgets", "statement_lines"), bounds)
        carried = _rows(read_sql("budgets", "statement_carried"), bounds | {"at_most": CARRIED_MAX})
    return Statement(
        month=month,
        after=after,
        until=until,
        lines=tuple(_line(row) for row in lines),
        carried=tuple(_carried(row) for row in carried),
    )


def _total(unit: str, lines: Iterable[StatementLine]) -> UnitTotal:
    kept = list(lines)
    return UnitTotal(
        unit=unit,
        calls=sum(line.calls for line in kept if not line.is_correction),
        charged=sum(line.charged for line in kept),
        corrected=sum(line.charged for line in kept if line.is_correction),
        uncovered=sum(line.uncovered for line in kept),
    )


def _line(row: Sequence[Any]) -> StatementLine:
    values = dict(zip((field.name for field in fields(StatementLine)), row, strict=True))
    return StatementLine(**values | {name: int(values[name]) for name in ("calls", "charged", "uncovered", "carried")})


def _carried(row: Sequence[Any]) -> CarriedCharge:
    values = dict(zip((field.name for field in fields(CarriedCharge)), row, strict=True))
    return CarriedCharge(**values | {"kind": EntryKind(values["kind"])})


def _next(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _before(first: date) -> date:
    return date(first.year - (first.month == 1), (first.month - 2) % 12 + 1, 1)


def _run(text: str, parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)


def _rows(text: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return list(cursor.fetchall())

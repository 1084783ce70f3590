"""A statement as its readers see it: the same parts on the page and on paper, and its lines in a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from budgets.console.wording import path_within_tenant
from budgets.selectors.statements import Statement, StatementLine, UnitTotal
from kernel.money import Unit
from kernel.pages.exports import Column, Kind
from tenants.selectors.directory import TenantLine

#: Lines of one unit that a page and a paper show; the file has all of them.
LINES_SHOWN: Final = 300

CSV_COLUMNS: Final = tuple(
    Column(name, kind)
    for name, kind in (
        ("statement", Kind.TEXT),
        ("section", Kind.TEXT),
        ("workspace", Kind.TEXT),
        ("model", Kind.TEXT),
        ("tool", Kind.TEXT),
        ("calls", Kind.INTEGER),
        ("unit", Kind.TEXT),
        ("charged", Kind.SUM),
        ("charged_usd", Kind.SUM),
        ("uncovered", Kind.SUM),
        ("ledger_entry", Kind.INTEGER),
        ("asked_at", Kind.TIME),
        ("booked_at", Kind.TIME),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The lines that are not shown, together."""

    lines: int
    calls: int
    charged: int
    uncovered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What there is in one unit. `rest` is of the charges, None where all are shown."""

    total: UnitTotal
    charges: tuple[StatementLine, ...]
    rest: Rest | None
    corrections: tuple[StatementLine, ...]

    @property
    def unit(self) -> str:
        return self.total.unit

    @property
    def charged_before_corrections(self) -> int:
        return self.total.charged - self.total.corrected


def statement_number(tenant: TenantLine, statement: Statement) -> str:
    return f"{tenant.slug}-{statement.month.text}"


def parts_of(statement: Statement) -> tuple[Part, ...]:
    return tuple(_part(total, statement.lines) for total in statement.totals)


def model_or_tool(line: StatementLine) -> str:
    if line.model:
        return f"model {line.model}"
    return f"tool {line.tool}" if line.tool else "not named"


def csv_rows(tenant: TenantLine, statement: Statement) -> Iterator[Sequence[object]]:
    """Lines, then what landed in another period than it was asked in, then one total a unit."""
    number = statement_number(tenant, statement)
    for line in statement.lines:
        section = "corrections" if line.is_correction else "charges"
        yield (
            number,
            section,
            line.workspace,
            line.model,
            line.tool,
            line.calls,
            *_amounts(line.unit, line.charged),
            line.uncovered,
            None,
            None,
            None,
        )
    for charge in statement.carried:
        names = (number, "from an earlier period", path_within_tenant(charge.scope_path), "", charge.action_name, None)
        times = (charge.asked_at, charge.booked_at)
        yield (*names, *_amounts(charge.unit, charge.charged), None, charge.seq, *times)
    for total in statement.totals:
        amounts = (*_amounts(total.unit, total.charged), total.uncovered)
        yield (number, "total", "", "", "", total.calls, *amounts, None, None, None)


def _part(total: UnitTotal, lines: Sequence[StatementLine]) -> Part:
    charges = [line for line in lines if line.unit == total.unit and not line.is_correction]
    hidden = charges[LINES_SHOWN:]
    rest = Rest(
        lines=len(hidden),
        calls=sum(line.calls for line in hidden),
        charged=sum(line.charged for line in hidden),
        uncovered=sum(line.uncovered for line in hidden),
    )
    return Part(
        total=total,
        charges=tuple(charges[:LINES_SHOWN]),
        rest=rest if hidden else None,
        corrections=tuple(line for line in lines if line.unit == total.unit and line.is_correction),
    )


def _amounts(unit: str, charged: int) -> tuple[str, int, Decimal | None]:
    """Decimal digits of a dollar are exact: eight of them."""
    usd = Decimal(f"{charged}e-8") if unit == Unit.USD_MICROCENTS else None
    return unit, charged, usd

"""A statement as its readers see it: the same parts on the page, on paper and in the file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from budgets.console.wording import path_within_tenant
from budgets.models.choices import EntryKind
from budgets.selectors.statements import CARRIED_MAX, Statement, StatementLine, UnitTotal
from kernel.money import Unit
from kernel.pages.amounts import (
    Display,
    counted_text,
    displayed_text,
    exact_amount_text,
    number_text,
    unit_name,
)
from kernel.pages.exports import Column, Kind
from kernel.pages.moments import day_text, exact_moment_text
from kernel.pages.pdf import Paper, PaperTable
from tenants.selectors.directory import TenantLine

#: Lines of one unit that a page and a paper show; the file has all of them.
LINES_SHOWN: Final = 300
_MICROCENT: Final = Decimal("1e-8")

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


def paper_of(tenant: TenantLine, statement: Statement, *, now: datetime, display: Display | None) -> Paper:
    """The statement to be printed. `display` adds the total in another currency, with its rate."""
    zone, month = tenant.time_zone, statement.month
    is_final = now >= month.ends_at
    facts = [
        ("Tenant", f"{tenant.name} ({tenant.slug})" if tenant.name else tenant.slug),
        ("Plan", f"{tenant.plan}, version {tenant.plan_version}" if tenant.plan else "no plan"),
        ("Period", f"{day_text(month.starts_at, time_zone=zone)} to before {day_text(month.ends_at, time_zone=zone)}"),
        ("Time zone", zone),
        ("Made at", exact_moment_text(now, time_zone=zone)),
        ("State", "Final" if is_final else "So far: the period is not over"),
        ("Ledger", f"entries {statement.after + 1} to {statement.until}" if statement.lines else "no charges"),
    ]
    tables: list[PaperTable] = []
    for part in parts_of(statement):
        facts.append((f"Total in {unit_name(part.unit)}", exact_amount_text(part.total.charged, part.unit)))
        if display and part.unit == Unit.USD_MICROCENTS:
            rate = f"at {display.rate_text} for 1 USD on {display.as_of:%Y-%m-%d} by {display.source}"
            facts.append((f"Shown in {display.currency}", f"{displayed_text(part.total.charged, display)} {rate}"))
        tables += _tables(part)
    if statement.carried:
        tables.append(_carried_table(statement, zone=zone))
    return Paper(
        title=f"Statement {statement_number(tenant, statement)}",
        facts=facts,
        tables=tables,
        notes=[
            "A charge counts in the period in which it was booked, a correction in which it was made.",
            "Amounts are the ledger's own, to the last digit; the total is their sum.",
            "Uncovered is what was really spent beyond what budgets and debt paid. It is not part of the total.",
        ],
        made_at=now,
    )


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


def _tables(part: Part) -> Iterator[PaperTable]:
    unit, total = part.unit, part.total
    rows = [_row(line) for line in part.charges]
    if part.rest:
        words = counted_text(part.rest.lines, "more line")
        rows.append(("", words, *_numbers(unit, part.rest.calls, part.rest.uncovered, part.rest.charged)))
    uncovered = total.uncovered - sum(line.uncovered for line in part.corrections)
    rows.append(("Sum", "", *_numbers(unit, total.calls, uncovered, part.charged_before_corrections)))
    heads = ("Workspace", "Model or tool", "Calls", "Uncovered", "Charged")
    widths = (26, 34, 11, 20, 22)
    yield PaperTable(
        title=f"Charges in {unit_name(unit)}", heads=heads, rows=rows, widths=widths, numbers_from=2, last_is_total=True
    )
    if part.corrections:
        corrected = sum(line.calls for line in part.corrections)
        missing = sum(line.uncovered for line in part.corrections)
        rows = [_row(line) for line in part.corrections]
        rows.append(("Sum", "", *_numbers(unit, corrected, missing, total.corrected)))
        yield PaperTable(
            title=f"Corrections in {unit_name(unit)}",
            heads=("Workspace", "Model or tool", "Corrections", "Uncovered", "Charged"),
            rows=rows,
            widths=widths,
            numbers_from=2,
            last_is_total=True,
        )


def _row(line: StatementLine) -> tuple[str, ...]:
    names = (line.workspace or "no workspace", model_or_tool(line))
    return (*names, *_numbers(line.unit, line.calls, line.uncovered, line.charged))


def _numbers(unit: str, calls: int, uncovered: int, charged: int) -> tuple[str, str, str]:
    return number_text(calls), exact_amount_text(uncovered, unit), exact_amount_text(charged, unit)


def _carried_table(statement: Statement, *, zone: str) -> PaperTable:
    hidden = statement.carried_count - len(statement.carried)
    return PaperTable(
        title="Of these, asked for in an earlier period",
        heads=("Entry", "What", "Asked for", "Booked", "Charged"),
        rows=[
            (
                f"{charge.seq} {'correction' if charge.kind == EntryKind.CORRECTION else 'charge'}",
                charge.action_name or "not named",
                exact_moment_text(charge.asked_at, time_zone=zone),
                exact_moment_text(charge.booked_at, time_zone=zone),
                exact_amount_text(charge.charged, charge.unit),
            )
            for charge in statement.carried
        ],
        widths=(18, 22, 26, 26, 20),
        numbers_from=4,
        note=f"The first {CARRIED_MAX}; {counted_text(hidden, 'more')[:-1]} are in the sums above." if hidden else "",
    )


def _amounts(unit: str, charged: int) -> tuple[str, int, Decimal | None]:
    """Decimal digits of a dollar are exact: eight of them."""
    usd = Decimal(f"{charged}e-8") if unit == Unit.USD_MICROCENTS else None
    return unit, charged, usd

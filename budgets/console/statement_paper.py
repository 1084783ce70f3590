"""A statement to be printed: the same numbers as on its page."""

from collections.abc import Iterator
from datetime import datetime

from budgets.console.statement_parts import Part, model_or_tool, parts_of, statement_number
from budgets.models.choices import EntryKind
from budgets.selectors.statements import CARRIED_MAX, Statement, StatementLine
from kernel.money import Unit
from kernel.pages.amounts import (
    Display,
    counted_text,
    displayed_text,
    exact_amount_text,
    number_text,
    unit_name,
)
from kernel.pages.moments import day_text, exact_moment_text
from kernel.pages.paper import Paper, PaperTable
from tenants.selectors.directory import TenantLine


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

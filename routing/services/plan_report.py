"""A plan as text for people and as a document for programs."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any, Final

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from routing.services.budget_table import Currency, Money
from routing.services.planner import DAYS_A_MONTH, ClassLine, Cost, Plan
from routing.services.timeouts import seconds_text

_LOCALE: Final = Locale.parse("en_US")
_UNKNOWN: Final = "—"
_JSON_PLACES: Final = 8


def plan_text(plan: Plan) -> str:
    """The plan in lines for a terminal."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    table, currency = plan.table, plan.table.currency
    yield f"{table.agent}: {format_decimal(table.turns_a_day, locale=_LOCALE)} turns a day, {_rate_text(currency)}"
    yield ""
    yield from _columns(
        [("Class", "Share", "Route", "A turn", "Worst case", "Longest"), *map(_row(currency), plan.classes)]
    )
    yield ""
    costs = [("Expected", plan.expected), ("All on large", plan.all_large), ("Worst case under the caps", plan.worst)]
    yield from _columns(
        [("", "A turn", "A day", f"{DAYS_A_MONTH} days"), *(_cost_row(name, cost, currency) for name, cost in costs)]
    )
    yield ""
    yield from verdict_lines(plan)


def _row(currency: Currency) -> Any:
    def row(line: ClassLine) -> tuple[str, ...]:
        return (
            line.name,
            percent_text(line.share),
            " → ".join(line.route),
            money_text(line.expected, currency),
            money_text(line.worst, currency),
            _UNKNOWN if line.longest_ms is None else seconds_text(line.longest_ms),
        )

    return row


def _cost_row(name: str, cost: Cost | None, currency: Currency) -> tuple[str, ...]:
    parts = (None, None, None) if cost is None else (cost.turn, cost.day, cost.month)
    return (name, *(money_text(part, currency) for part in parts))


def verdict_lines(plan: Plan) -> Iterator[str]:
    """Whether the ceiling holds, what is saved, and what to look out for, a sentence each."""
    currency, ceiling = plan.table.currency, plan.table.ceiling_a_month
    if ceiling is not None:
        yield f"Ceiling {money_text(ceiling, currency)} a month: {_room(plan.expected.month, ceiling, currency)}."
        if plan.worst is not None:
            yield f"In the worst case: {_room(plan.worst.month, ceiling, currency)}."
    if plan.saved is not None:
        word = "Saved" if plan.saved >= 0 else "Dearer"
        yield f"{word} against all on large: {percent_text(abs(plan.saved), decimals=0)}."
    for line in plan.classes:
        yield from (f"{line.name}: {warning}." for warning in line.warnings)


def _room(month: Money, ceiling: Money, currency: Currency) -> str:
    left = ceiling - month
    return f"inside, {money_text(left, currency)} left" if left >= 0 else f"over by {money_text(-left, currency)}"


def _rate_text(currency: Currency) -> str:
    if currency.code == "USD":
        return "amounts in USD."
    rate = format_currency(currency.per_usd, currency.code, locale=_LOCALE, decimal_quantization=False)
    return f"amounts in {currency.code}; 1 USD = {rate} ({_date_text(currency.dated)})."


def _date_text(day: date) -> str:
    return str(format_date(day, "d MMM yyyy", locale=_LOCALE))


def _columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()


def money_text(amount: Money | None, currency: Currency) -> str:
    """`₹0.135`, `$17.36`, `₹6,750`: to four decimals below one, to two from there, none in whole thousands."""
    if amount is None:
        return _UNKNOWN
    if amount and abs(amount) < 1:
        pattern = "¤0.00##"
    elif abs(amount) >= 1000 and round(amount, 2).denominator == 1:
        pattern = "¤#,##0"
    else:
        pattern = "¤#,##0.00"
    number = _decimal(amount, places=4)
    return str(format_currency(number, currency.code, format=pattern, locale=_LOCALE, currency_digits=False))


def percent_text(share: Fraction, *, decimals: int = 1) -> str:
    """`64 %`, `12.5 %`."""
    number = _decimal(share * 100, places=decimals)
    return f"{format_decimal(number, locale=_LOCALE)} %"


def _decimal(number: Fraction, *, places: int) -> Decimal:
    with localcontext(prec=60, rounding=ROUND_HALF_EVEN):
        return round(Decimal(number.numerator) / Decimal(number.denominator), places)


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan for programs. Amounts are decimal strings in the table's currency, beside USD_MICROCENTS."""
    table, currency = plan.table, plan.table.currency
    return {
        "agent": table.agent,
        "turns_a_day": table.turns_a_day,
        "days_a_month": DAYS_A_MONTH,
        "currency": {"code": currency.code, "per_usd": str(currency.per_usd), "dated": currency.dated.isoformat()},
        "expected": _cost_document(plan.expected, currency),
        "worst_case": _cost_document(plan.worst, currency),
        "all_on_large": _cost_document(plan.all_large, currency),
        "saved_percent": None if plan.saved is None else _number(plan.saved * 100),
        "ceiling": None
        if table.ceiling_a_month is None
        else {
            "month": _money_document(table.ceiling_a_month, currency),
            "is_inside": plan.is_inside,
            "worst_case_is_inside": plan.worst_is_inside,
        },
        "classes": [_class_document(line, currency) for line in plan.classes],
    }


def _class_document(line: ClassLine, currency: Currency) -> dict[str, Any]:
    return {
        "name": line.name,
        "share_percent": _number(line.share * 100),
        "route": list(line.route),
        "expected_turn": _money_document(line.expected, currency),
        "worst_case_turn": None if line.worst is None else _money_document(line.worst, currency),
        "longest_ms": line.longest_ms,
        "warnings": list(line.warnings),
    }


def _cost_document(cost: Cost | None, currency: Currency) -> dict[str, Any] | None:
    if cost is None:
        return None
    return {
        "turn": _money_document(cost.turn, currency),
        "day": _money_document(cost.day, currency),
        "month": _money_document(cost.month, currency),
    }


def _money_document(amount: Money, currency: Currency) -> dict[str, Any]:
    return {"amount": _number(amount), "usd_microcents": currency.to_microcents(amount)}


def _number(number: Fraction) -> str:
    text = f"{_decimal(number, places=_JSON_PLACES):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

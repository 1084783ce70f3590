"""A provider's invoice or usage export as CSV: a line for each call, or for each model and day.

Columns are found by the names that providers give them. Amounts are in USD.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Final, TextIO

from budgets.reconciling.calls import Observed
from routing.observed.reading import YEARS, Read, SourceRefused

MICROCENTS_PER_USD: Final = 10**8
_AMOUNT_MAX: Final = 2**63 - 1
_SECONDS_DIGITS_MAX: Final = 11
_TIMES: Final = (
    *("timestamp", "time", "created_at", "start_time_iso", "start_time"),
    *("date", "day", "usage_date", "usage_date_utc"),
)
_REFERENCES: Final = ("response_id", "message_id", "generation_id", "request_id", "id")
_MODELS: Final = ("model", "model_version", "model_name", "snapshot_id", "line_item")
_PROVIDERS: Final = ("provider",)
_INPUTS: Final = ("tokens_input", "input_tokens", "prompt_tokens", "usage_input_tokens", "n_context_tokens_total")
#: Together what went in, where a provider splits it.
_INPUT_PARTS: Final = (
    *("usage_input_tokens_no_cache", "usage_input_tokens_cache_read"),
    *("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
)
_OUTPUTS: Final = (
    *("tokens_output", "output_tokens", "completion_tokens", "usage_output_tokens", "n_generated_tokens_total"),
)
_COSTS: Final = ("cost_usd", "amount_usd", "total_cost", "cost", "amount_value", "amount")
_CURRENCIES: Final = ("currency", "amount_currency")
_CALLS: Final = ("calls", "requests", "num_model_requests")


def read_invoice(path: Path, *, provider: str = "") -> Read:
    """The lines of the file; those without a provider are of `provider`.

    Raises `SourceRefused` for a file without the columns it takes, or with amounts that are not in USD.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            return _read(text, provider=provider)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceRefused(f"{path} cannot be read as CSV in UTF-8: {error}.") from None


def read_invoice_content(content: bytes, *, provider: str = "") -> Read:
    """As `read_invoice`, of a file that is in memory."""
    try:
        return _read(io.StringIO(content.decode("utf-8-sig"), newline=""), provider=provider)
    except (UnicodeDecodeError, csv.Error):
        # The error's own words would say a part of the file again.
        raise SourceRefused("The file cannot be read as CSV in UTF-8.") from None


def _read(text: TextIO, *, provider: str) -> Read:
    lines = csv.DictReader(text)
    columns = _columns(lines.fieldnames or ())
    found = Read()
    for each in _lines(lines, columns, provider=provider, found=found):
        found.calls.append(each)
        found.require_room()
    return found


def _columns(heads: Sequence[str]) -> dict[str, list[str]]:
    """The file's own names of the columns, under ours."""
    by_name = {head.strip().lower().replace(" ", "_"): head for head in heads if head}
    known = {
        "time": _TIMES, "reference": _REFERENCES, "model": _MODELS, "provider": _PROVIDERS, "input": _INPUTS,
        "input_parts": _INPUT_PARTS, "output": _OUTPUTS, "cost": _COSTS, "currency": _CURRENCIES, "calls": _CALLS,
    }  # fmt: skip
    found = {ours: [by_name[name] for name in names if name in by_name] for ours, names in known.items()}
    for needed, example in (("time", "date"), ("model", "model")):
        if not found[needed]:
            raise SourceRefused(f"The file has no column {example}. It has: {', '.join(by_name) or 'none'}.")
    if not (found["cost"] or found["input"] or found["input_parts"]):
        raise SourceRefused("The file has neither a column cost_usd nor one of tokens, so nothing can be compared.")
    return found


def _lines(
    lines: "csv.DictReader[str]", columns: Mapping[str, list[str]], *, provider: str, found: Read
) -> Iterator[Observed]:
    for line in lines:
        place = f"line {lines.line_num}"
        cells = {ours: [(line.get(name) or "").strip() for name in names] for ours, names in columns.items()}
        currency = _first(cells["currency"])
        if currency and currency.upper() != "USD":
            raise SourceRefused(f"{place} is in {currency}; only amounts in USD can be compared.")
        try:
            if any("\0" in cell for each in cells.values() for cell in each):
                # No table can hold it.
                raise ValueError(place)
            at, day = _moment(_first(cells["time"]))
            reference = _first(cells["reference"])
            parts = [_whole(cell) for cell in cells["input_parts"] if cell]
            yield Observed(
                provider=(_first(cells["provider"]) or provider).lower(),
                model=_first(cells["model"]).rpartition(":")[2].lower(),
                references=(reference,) if reference else (),
                at=at if reference else None,
                day=None if reference else day,
                calls=1 if reference else _optional(_first(cells["calls"])),
                tokens_input=sum(parts) if parts else _optional(_first(cells["input"])),
                tokens_output=_optional(_first(cells["output"])),
                cost=_microcents(_first(cells["cost"])),
                place=place,
            )
        except (ValueError, ArithmeticError):
            found.unread.append(place)


def _first(cells: Sequence[str]) -> str:
    return next((cell for cell in cells if cell), "")


def _moment(text: str) -> tuple[datetime, date]:
    """A time and its day; seconds since the epoch, a day, or ISO 8601, in UTC where it names no zone.

    Raises ValueError for what is none, or of a year in which nobody called a model.
    """
    if text.isdigit():
        if len(text) > _SECONDS_DIGITS_MAX:
            raise ValueError(text)
        at = datetime.fromtimestamp(int(text), UTC)
    else:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at.year not in YEARS:
        raise ValueError(text)
    return at, at.date()


def _optional(text: str) -> int | None:
    return _whole(text) if text else None


def _whole(text: str) -> int:
    """Raises ValueError for what is no number from zero up."""
    number = Decimal(text.replace(",", ""))
    if not number.is_finite() or number < 0 or number != number.to_integral_value() or number > _AMOUNT_MAX:
        raise ValueError(text)
    return int(number)


def _microcents(text: str) -> int | None:
    """A credit is below zero. Raises ValueError for more than an amount can be."""
    if not text:
        return None
    number = Decimal(text.replace(",", "").replace("$", "")) * MICROCENTS_PER_USD
    if not number.is_finite() or abs(number) > _AMOUNT_MAX:
        raise ValueError(text)
    return int(number.to_integral_value(rounding=ROUND_HALF_EVEN))

"""Lists as files, sent as they are read: as CSV, and as Parquet where that is installed.

What a tenant has named is text in them, never a formula.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import batched
from typing import Final

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from kernel.pages import parquet

#: Rows that are in memory at once.
ROWS_AT_ONCE: Final = 2_000
#: What a spreadsheet takes for the beginning of a formula, in whatever width it is written. Some read the typographic
#: minus as the plain one.
_BEGINS_FORMULA: Final = frozenset("=+-@\N{MINUS SIGN}")
# Spreadsheets read UTF-8 only with this mark.
_UTF_8_MARK: Final = "\ufeff"


class FileFormat(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


class Kind(StrEnum):
    """What a column holds. SUM is of integers that 64 bits may not hold."""

    TEXT = "text"
    INTEGER = "integer"
    SUM = "sum"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind = Kind.TEXT


def file_response(
    file_format: FileFormat, name: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """The whole result as a file called `name`. Raises `parquet.ParquetMissing`."""
    if file_format == FileFormat.CSV:
        return csv_response(name, [column.name for column in columns], rows)
    chunks = parquet.chunks([(column.name, column.kind.value) for column in columns], batched(rows, ROWS_AT_ONCE))
    return _response(f"{name}.parquet", "application/vnd.apache.parquet", chunks)


def csv_response(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """The whole result as `name`.csv; numbers stay numbers, times are UTC."""

    def chunks() -> Iterator[str]:
        yield _UTF_8_MARK + csv_text([heads])
        for some in batched(rows, ROWS_AT_ONCE):
            yield csv_text(some)

    return _response(f"{name}.csv", "text/csv; charset=utf-8", chunks())


def json_lines_response(name: str, rows: Iterable[Mapping[str, object]]) -> StreamingHttpResponse:
    """The whole result as `name`.jsonl, an object a line; times are written as ISO 8601 has them."""

    def chunks() -> Iterator[str]:
        for some in batched(rows, ROWS_AT_ONCE):
            yield "".join(f"{json.dumps(row, ensure_ascii=False, default=_json_text)}\n" for row in some)

    return _response(f"{name}.jsonl", "application/jsonl", chunks())


def _json_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Some lines of a file."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: object) -> object:
    """As a spreadsheet should show it: text that begins like a formula is put behind an apostrophe.

    It begins behind everything that a reader may drop: blanks, tabs, breaks, marks that have no width.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and _begins_formula(value):
        return f"'{value}"
    return value


def _begins_formula(text: str) -> bool:
    for sign in text:
        # Marks of no width, control characters and blanks of all kinds.
        if sign.isspace() or unicodedata.category(sign) in {"Cc", "Cf", "Mn", "Zs", "Zl", "Zp"}:
            continue
        return unicodedata.normalize("NFKC", sign)[:1] in _BEGINS_FORMULA
    # Blanks alone are no formula; but some readers begin one at a tab or a break.
    return text[:1] in {"\t", "\r", "\n"}


def _response(name: str, content_type: str, chunks: Iterable[str] | Iterable[bytes]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(chunks, content_type=content_type)
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    return response

"""Lists as files. What a tenant has named is text in them, never a formula."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from django.http import StreamingHttpResponse

#: What a spreadsheet takes for the beginning of a formula.
_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_response(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """The whole result as `name`.csv, sent as it is read; numbers stay numbers, times are UTC."""
    writer = csv.writer(_Echo())
    write: Callable[[Sequence[object]], str] = writer.writerow

    def lines() -> Iterator[str]:
        # Spreadsheets read UTF-8 only with this mark.
        yield "\ufeff" + write(list(heads))
        for row in rows:
            yield write([cell(value) for value in row])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def cell(value: object) -> object:
    """As a spreadsheet should show it: text that begins like a formula is put behind an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.lstrip(" ").startswith(_BEGINS_FORMULA):
        return f"'{value}"
    return value

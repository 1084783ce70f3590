"""A recorded trace: when each call came, how many tokens it was given, how many it made."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
#: More than any model takes; a greater number is a mistake in the file.
_TOKENS_MAX: Final = 100_000_000


class UnreadableTrace(Exception):
    """The text says what is wrong with the file, and in which line."""


@dataclass(frozen=True, slots=True)
class TraceCall:
    """One call. `after_s` is the time since the first call of the trace."""

    number: int
    after_s: float
    context_tokens: int
    generated_tokens: int


def read_trace(path: Path, *, limit: int | None = None) -> list[TraceCall]:
    """The first `limit` calls in the order of their times. Raises `UnreadableTrace`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = sorted(islice(_rows(file, path), limit), key=lambda row: row[0])
    except OSError as error:
        raise UnreadableTrace(f"{path} cannot be read: {error.strerror}.") from None
    except TypeError:
        raise UnreadableTrace(f"{path} has times with and without a time zone.") from None
    except UnicodeDecodeError:
        raise UnreadableTrace(f"{path} is not a text file.") from None
    if not rows:
        raise UnreadableTrace(f"{path} holds no calls.")
    begin = rows[0][0]
    return [
        TraceCall(number, (at - begin).total_seconds(), context, generated)
        for number, (at, context, generated) in enumerate(rows, start=1)
    ]


def _rows(file: Iterator[str], path: Path) -> Iterator[tuple[datetime, int, int]]:
    reader = csv.DictReader(file)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise UnreadableTrace(f"{path} has no column {missing[0]}; its first line must name {', '.join(COLUMNS)}.")
    for row in reader:
        try:
            at = datetime.fromisoformat(row["TIMESTAMP"])
            tokens = int(row["ContextTokens"]), int(row["GeneratedTokens"])
        except (TypeError, ValueError):
            raise UnreadableTrace(f"{path}, line {reader.line_num}: not a time and two numbers of tokens.") from None
        if not all(0 <= number <= _TOKENS_MAX for number in tokens):
            raise UnreadableTrace(f"{path}, line {reader.line_num}: a number of tokens is out of range.")
        yield at, *tokens

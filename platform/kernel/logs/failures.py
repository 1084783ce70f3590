"""Failures in the log: what kind, and which lines of code they passed, without their text.

The text of an exception may quote what a caller sent, or a row of a customer's.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

_TASKS: Final = "celery.app.trace"


def add_failure(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog, in place of its own: `exception` has the types of an exception and its causes, and their lines."""
    given = line.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    exception = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
    if exception is not None:
        line["exception"] = where(exception)
    return line


def where(exception: BaseException) -> str:
    """The types of `exception` and its causes, each with the lines of code that it passed; the first cause first."""
    cause = exception.__cause__ or exception.__context__
    before = f"{where(cause)}then " if cause is not None else ""
    return f"{before}{name_of(exception)}\n{''.join(traceback.format_tb(exception.__traceback__))}"


def name_of(exception: BaseException) -> str:
    """The type, with the code that PostgreSQL gave it."""
    sqlstate = getattr(exception, "sqlstate", None)
    name = f"{type(exception).__module__}.{type(exception).__qualname__}"
    return f"{name} ({sqlstate})" if sqlstate else name


class NameFailuresOnly(logging.Filter):
    """Celery puts the text of a task's exception into its line: its kind takes that place."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == _TASKS and isinstance(record.args, dict) and "exc" in record.args:
            failure = record.exc_info[1] if record.exc_info else None
            record.args = {**record.args, "exc": name_of(failure) if failure else "", "traceback": ""}
        return True

"""The logging set-up of every process, for Django's `LOGGING`."""

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Final

import structlog
from structlog import stdlib
from structlog.typing import Processor

from kernel.logs.context import add_context
from kernel.logs.failures import NameFailuresOnly, add_failure
from kernel.logs.redaction import redacted_fields

#: JSON for machines; text for whoever sits before the terminal.
LOG_FORMATS: Final = ("json", "text")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


def logging_config(*, log_format: str, level: str, known_secrets: Sequence[str], plane: str) -> dict[str, Any]:
    """All lines, of whatever library, to standard error, in one form, with `known_secrets` and all others removed."""
    structlog.configure(
        processors=[
            stdlib.filter_by_level,
            *_shared(),
            stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=stdlib.LoggerFactory(),
        wrapper_class=stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": stdlib.ProcessorFormatter,
                "processors": _at_the_end(log_format, tuple(known_secrets)),
                "foreign_pre_chain": _shared(),
            }
        },
        "filters": {"failures": {"()": NameFailuresOnly}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines", "filters": ["failures"]}},
        "root": {"handlers": ["lines"], "level": level},
        "loggers": {
            # Django's own handlers would write past the redaction.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # Its lines name addresses as they were asked for. The api plane says by itself what failed, by its route.
            "django.request": {"level": "CRITICAL" if plane == "api" else "ERROR"},
            # Their lines of every request name addresses too.
            "httpx": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
        },
    }


def _shared() -> list[Processor]:
    return [
        add_context,
        stdlib.add_log_level,
        stdlib.add_logger_name,
        stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        add_failure,
    ]


def _at_the_end(log_format: str, known: tuple[str, ...]) -> list[Processor]:
    render: Callable[..., Any] = structlog.processors.JSONRenderer() if log_format == "json" else _as_text
    return [stdlib.ProcessorFormatter.remove_processors_meta, partial(_redact, known), render]


def _redact(
    known: tuple[str, ...], _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return redacted_fields(line, known=known)


def _as_text(_logger: object, _method: str, line: MutableMapping[str, Any]) -> str:
    """`WARNING budgets.tasks: what happened (tenant=…)`, and below it the lines of code of a failure."""
    level, name, what = (line.pop(key, "") for key in ("level", "logger", "event"))
    line.pop("timestamp", None)
    trace = line.pop("exception", "")
    more = " ".join(f"{key}={value}" for key, value in line.items())
    text = f"{str(level).upper()} {name}: {what}" + (f" ({more})" if more else "")
    return f"{text}\n{trace}" if trace else text

"""Lines about decisions in the log, written by the metrics' thread: for who follows one call through all systems.

The books keep every decision with its reasons; these lines carry what it takes to find it there.
"""

import time
from typing import Final

import structlog
from django.conf import settings

from budgets.services.noted import Noted
from kernel.ids import mint_wire_id

OFF: Final = "off"
REFUSED: Final = "refused"
ALL: Final = "all"
CHOICES: Final = (OFF, REFUSED, ALL)
#: Lines a second of one process; a flood of refusals is counted and must not become a flood of lines.
LINES_A_SECOND: Final = 20

_logger: Final = structlog.get_logger("watermaster.decisions")


class _Gate:
    """Lets so many lines through in a second, and says how many it kept back."""

    __slots__ = ("_kept_back", "_lines", "_second")

    def __init__(self) -> None:
        self._second = self._lines = self._kept_back = 0

    def lets_through(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            if self._kept_back:
                _logger.info("decisions not logged", count=self._kept_back)
            self._second, self._lines, self._kept_back = second, 0, 0
        self._lines += 1
        self._kept_back += self._lines > LINES_A_SECOND
        return self._lines <= LINES_A_SECOND


_gate: Final = _Gate()


def log_decision(noted: Noted) -> None:
    """One line, where `LOG_DECISIONS` wants it: nothing that the caller wrote, only ids, codes and numbers."""
    if settings.LOG_DECISIONS == OFF or (settings.LOG_DECISIONS == REFUSED and not noted.meaning.reason):
        return
    answer, operation = noted.answer, noted.operation
    if answer is None or not _gate.lets_through():
        return
    _logger.info(
        "decision",
        tenant=noted.tag,
        decision=mint_wire_id("dec", noted.tag, answer.id),
        operation=noted.meaning.operation,
        result=noted.meaning.result,
        reason=noted.meaning.reason,
        request_id=operation.request_id or "",
        trace_id=operation.trace_id or "",
        took_ms=round((noted.ended_ns - noted.began_ns) / 1e6, 3),
    )

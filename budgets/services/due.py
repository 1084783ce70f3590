"""Telling the worker which tenants will have something to expire, off the hot path.

`note_due` remembers in this process; a thread writes what was noted once a second, one statement for all tenants.
A note lost with its process costs no correctness (a commit checks the time itself): the hourly sweep finds the tenant.
"""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Final

from django.db import close_old_connections

from kernel.ids import Tag
from tenants.services.due import lower_due

FLUSH_SECONDS: Final = 1.0

_logger = logging.getLogger(__name__)


class DueNotes:
    """What was noted and not yet written: the earliest time of each tenant. Shared by threads."""

    __slots__ = ("_due_at_ms", "_lock")

    def __init__(self) -> None:
        self._due_at_ms: dict[Tag, int] = {}
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        return not self._due_at_ms

    def note(self, tag: Tag, due_at_ms: int) -> None:
        with self._lock:
            known = self._due_at_ms.get(tag)
            if known is None or due_at_ms < known:
                self._due_at_ms[tag] = due_at_ms

    def flush(self) -> None:
        """Write what was noted. What could not be written stays noted; raises what the database raised."""
        with self._lock:
            noted, self._due_at_ms = self._due_at_ms, {}
        try:
            lower_due({tag: datetime.fromtimestamp(due_at_ms / 1000, UTC) for tag, due_at_ms in noted.items()})
        except BaseException:
            for tag, due_at_ms in noted.items():
                self.note(tag, due_at_ms)
            raise


_notes: Final = DueNotes()
_flusher: threading.Thread | None = None


def note_due(tag: Tag, due_at_ms: int) -> None:
    """The tenant has a new reservation that is over at `due_at_ms` (since the epoch), grace included.

    Takes a microsecond and never fails.
    """
    global _flusher  # noqa: PLW0603  started at the first note, so that a forked process has a thread of its own
    _notes.note(tag, due_at_ms)
    if _flusher is None:
        _flusher = threading.Thread(target=_flush_forever, name="due-flush", daemon=True)
        _flusher.start()


def _flush_forever() -> None:
    while True:
        time.sleep(FLUSH_SECONDS)
        if _notes.is_empty:
            continue
        try:
            close_old_connections()
            _notes.flush()
        except Exception as error:  # noqa: BLE001  whatever it is, the next second may be better
            _logger.warning("The times of expiry were not written, trying again: %s", type(error).__name__)

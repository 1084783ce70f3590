"""What this process counts, and the thread that adds it up once a second, away from those who decide."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kernel.metrics.snapshots import Snapshots
from kernel.metrics.tally import Tally

FLUSH_SECONDS: Final = 1.0

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Process:
    """This process as a source of metrics. `component` is what it serves as: api, console or worker.

    Without one (a command, a test) it counts and shows its numbers to no other process.
    """

    tally: Tally = field(default_factory=Tally)
    component: str = ""
    snapshots: Snapshots | None = None
    #: Called by the thread before numbers are shown: they bring in what was noted since.
    drains: list[Callable[[Tally], None]] = field(default_factory=list)
    flusher: threading.Thread | None = None
    mutex: threading.Lock = field(default_factory=threading.Lock)
    #: One thread at a time shows the numbers: two would write into one file.
    showing: threading.Lock = field(default_factory=threading.Lock)


current: Final = Process()


def serve_as(component: str, *, folder: Path) -> None:
    """Show this process's numbers to the others of its component on this machine, in `folder`. Call it once."""
    current.component = component
    current.snapshots = Snapshots(folder / component)


def drained_by(drain: Callable[[Tally], None]) -> None:
    """Have `drain` called once a second, and whenever somebody asks for the numbers."""
    current.drains.append(drain)


def ensure_flusher() -> None:
    """Start the thread where there is none. A process that was forked off has to have one of its own."""
    with current.mutex:
        if current.flusher is None:
            current.flusher = threading.Thread(target=_flush_forever, name="metrics-flush", daemon=True)
            current.flusher.start()


def flush() -> None:
    """Bring in what was noted and show it to the other processes. A folder that cannot be written costs only that."""
    with current.showing:
        for drain in current.drains:
            drain(current.tally)
        if current.snapshots is not None:
            with contextlib.suppress(OSError):
                current.snapshots.write(current.tally.read())


def _flush_forever() -> None:
    while True:
        time.sleep(FLUSH_SECONDS)
        try:
            flush()
        except Exception as error:  # noqa: BLE001  whatever it is, the next second may be better
            _logger.warning("Metrics were not brought in, trying again: %s", type(error).__name__)


def _begin_anew() -> None:
    """In a child: what the parent counted stays the parent's, and its thread is not here."""
    current.tally = Tally()
    current.flusher = None
    current.mutex, current.showing = threading.Lock(), threading.Lock()
    if current.snapshots is not None:
        current.snapshots = Snapshots(current.snapshots.folder)


os.register_at_fork(after_in_child=_begin_anew)

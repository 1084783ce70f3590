"""Sends what waits in the outbox from a thread of its own, until nothing waits."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from watermaster_client.outbox import Outbox, Record

logger = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 1.0
_WAIT_S_MAX: Final = 60.0


class Replayer:
    """A thread that lives only while something waits. After a fork it starts anew in the child when it is woken."""

    def __init__(
        self, outbox: Outbox, send: Callable[[Record], object], *, first_wait_s: float = _FIRST_WAIT_S
    ) -> None:
        self._outbox = outbox
        self._send = send
        self._first_wait_s = first_wait_s
        self._guard = threading.Lock()
        self._nudge = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def wake(self) -> None:
        """Something waits. Returns at once."""
        with self._guard:
            if self._is_stopped:
                return
            self._nudge.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watermaster-outbox", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the request that it is at. What waits is on the disk."""
        with self._guard:
            self._is_stopped = True
            self._nudge.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        wait_s = self._first_wait_s
        while not self._is_stopped:
            self._nudge.clear()
            if not self._left():
                with self._guard:
                    # Who was woken between the look and here has set the nudge, under the same guard.
                    if not self._nudge.is_set():
                        self._thread = None
                        return
                continue
            self._nudge.wait(wait_s)
            wait_s = min(wait_s * 2, _WAIT_S_MAX)

    def _left(self) -> int:
        try:
            return self._outbox.replay(self._send)
        except OSError:
            # The disk is full or away. What is written stays written; the next round looks again.
            logger.exception("The outbox cannot be read.")
            return 1

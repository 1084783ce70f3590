"""Extends the holds of long calls from one thread, so that no call waits for it."""

import logging
import threading
import time
from collections.abc import Callable

from watermaster_client.errors import WatermasterError

logger = logging.getLogger(__name__)


class Heartbeat:
    """Calls `extend` for each watched hold when half of its time is gone, until it is forgotten or cannot go on.

    `extend` answers the seconds that the hold now lasts. The thread lives only while something is watched.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._due: dict[str, tuple[float, Callable[[], float]]] = {}
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def watch(self, hold: str, *, ttl_s: float, extend: Callable[[], float]) -> None:
        with self._change:
            due = time.monotonic() + ttl_s / 2
            self._due[hold] = (due, extend)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watermaster-heartbeat", daemon=True)
                self._thread.start()
            elif due < self._wakes_at:
                self._change.notify()

    def forget(self, hold: str) -> None:
        """The thread finds it gone when it would have been due; nobody is woken for it."""
        with self._change:
            self._due.pop(hold, None)

    def stop(self) -> None:
        with self._change:
            self._due.clear()
            self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                if not self._due:
                    self._thread = None
                    return
                hold, (due, extend) = min(self._due.items(), key=lambda item: item[1][0])
                self._wakes_at = due
                if (wait_s := due - time.monotonic()) > 0:
                    self._change.wait(wait_s)
                    continue
            self._beat(hold, extend)

    def _beat(self, hold: str, extend: Callable[[], float]) -> None:
        try:
            ttl_s = extend()
        except (WatermasterError, RuntimeError) as failure:  # RuntimeError: the client is being closed
            # The call goes on: whether its cost can still be booked is for the settle to find out.
            logger.warning("The hold %s is not extended: %s", hold, failure)
            self.forget(hold)
            return
        with self._change:
            if hold in self._due:
                self._due[hold] = (time.monotonic() + ttl_s / 2, extend)

"""Looking up a host's addresses, with an end to the waiting.

The system's resolver takes as long as its name servers let it, and cannot be told to stop. So it is asked in a thread
that is left behind when the time is over; of those there may be only so many at once.
"""

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

#: Threads that wait for a name server. Who comes when all are taken waits for one, within its own time.
_AT_ONCE_MAX: Final = 64
_slots = threading.BoundedSemaphore(_AT_ONCE_MAX)


@dataclass(slots=True)
class _LookUp:
    found: list[Any] = field(default_factory=list)
    error: Exception | None = None
    is_done: threading.Event = field(default_factory=threading.Event)


def addresses_of(host: str, port: int, *, timeout_s: float) -> list[Any]:
    """What `socket.getaddrinfo` says of a stream to `host`.

    Raises TimeoutError when it has said nothing in time, and whatever it raises itself: OSError, UnicodeError.
    """
    ends_at = time.monotonic() + timeout_s
    slots = _slots
    if not slots.acquire(timeout=max(timeout_s, 0)):
        raise TimeoutError
    look_up = _LookUp()
    try:
        threading.Thread(target=_ask, args=(host, port, look_up, slots), name="names", daemon=True).start()
    except RuntimeError as error:
        slots.release()
        raise OSError("no thread for a look-up") from error
    if not look_up.is_done.wait(max(ends_at - time.monotonic(), 0)):
        raise TimeoutError
    if look_up.error is not None:
        raise look_up.error
    return look_up.found


def _ask(host: str, port: int, look_up: _LookUp, slots: threading.BoundedSemaphore) -> None:
    try:
        look_up.found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001  whoever asked raises it
        look_up.error = error
    finally:
        slots.release()
        look_up.is_done.set()

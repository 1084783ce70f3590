"""Asking a store for no longer than somebody waits, however slowly it answers."""

import threading
from collections.abc import Callable
from typing import Final

from vault.backends.door import FetchFailed
from vault.kinds import Health

#: The api answers within two seconds.
SECONDS_MAX: Final = 1.5
#: Questions under way at once in one process; those that nobody waits for any more count until they have ended.
UNDER_WAY_MAX: Final = 32

_under_way = threading.BoundedSemaphore(UNDER_WAY_MAX)


def bounded[T](ask: Callable[[], T], *, seconds: float = SECONDS_MAX) -> T:
    """What `ask` gives, or `FetchFailed` after `seconds`. `ask` runs in a thread of its own and is left behind then.

    Timeouts of sockets do not bound an answer that comes a byte at a time. Anything else that `ask` raises was not
    understood; it is not passed on, for it may carry what was answered.
    """
    if not _under_way.acquire(blocking=False):
        raise FetchFailed(Health.UNREACHABLE)
    answers: list[T] = []
    failures: list[Health] = []
    is_over = threading.Event()

    def answer() -> None:
        try:
            answers.append(ask())
        except FetchFailed as failure:
            failures.append(failure.health)
        except Exception:  # noqa: BLE001  see above
            failures.append(Health.GARBAGE)
        finally:
            _under_way.release()
            is_over.set()

    try:
        threading.Thread(target=answer, name="vault", daemon=True).start()
    except RuntimeError:
        # No thread to be had.
        _under_way.release()
        is_over.set()
    is_in_time = is_over.wait(seconds)
    if is_in_time and answers:
        return answers[0]
    raise FetchFailed(failures[0] if is_in_time and failures else Health.UNREACHABLE)

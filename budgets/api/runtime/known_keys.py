"""Keys that were good a moment ago, so that what comes before the books asks them about each key once in a while.

Nothing is allowed by it that the books do not judge again: it keeps strangers from a tenant's rate limits.
"""

import threading
import time
from typing import Final

from budgets.api.runtime.caller import Caller, is_key_good
from kernel.http.errors import error_of_status

#: How long a key that nobody uses is remembered. One that the books refuse is forgotten at once.
SECONDS: Final = 10.0
_KEYS_MAX: Final = 16_384

_known: dict[Caller, float] = {}
_lock = threading.Lock()


def require_known_key(caller: Caller) -> None:
    """Refuse with 401 a caller whose key is not good; asks the books only for one that was not heard of lately."""
    if time.monotonic() < _known.get(caller, 0.0):
        return
    if not is_key_good(caller):
        raise error_of_status(401)
    note_verdict(caller, is_good=True)


def note_verdict(caller: Caller, *, is_good: bool) -> None:
    """Remember what the books said of the key just now."""
    with _lock:
        if not is_good:
            _known.pop(caller, None)
            return
        if len(_known) >= _KEYS_MAX:
            _known.clear()
        _known[caller] = time.monotonic() + SECONDS

"""A circuit breaker a tenant: where a store has just failed again and again, the next one is told so at once."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from kernel.ids import Tag
from vault.backends.door import FetchFailed
from vault.kinds import BackEnd, Health

FAILURES_MAX: Final = 3
OPEN_SECONDS: Final = 10.0
#: Of one tenant under way at once in this process, so that a slow store holds up that tenant and no other.
UNDER_WAY_MAX: Final = 4
_KNOWN_MAX: Final = 10_000
#: The store's own trouble. That something is not there or not allowed it says quickly, and each time anew.
_TROUBLE: Final = frozenset({Health.UNREACHABLE, Health.SEALED, Health.GARBAGE})


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until: float = 0.0
    last: Health = Health.UNREACHABLE
    under_way: int = 0


class Breaker:
    """Safe to share between threads. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._circuits: OrderedDict[tuple[Tag, BackEnd], _Circuit] = OrderedDict()

    @contextmanager
    def guard(self, tag: Tag, back_end: BackEnd) -> Iterator[None]:
        """Raises `FetchFailed` at once while the circuit is open; after that one question tries whether it is well."""
        circuit = self._enter((tag, back_end))
        failure: Health | None = None
        try:
            yield
        except FetchFailed as failed:
            failure = failed.health
            raise
        finally:
            with self._lock:
                circuit.under_way -= 1
                self._note(circuit, failure)

    def forget(self) -> None:
        """Close every circuit."""
        with self._lock:
            self._circuits.clear()

    def _enter(self, key: tuple[Tag, BackEnd]) -> _Circuit:
        with self._lock:
            circuit = self._circuits.setdefault(key, _Circuit())
            self._circuits.move_to_end(key)
            while len(self._circuits) > _KNOWN_MAX:
                self._circuits.popitem(last=False)
            now = self._clock()
            is_open = circuit.failures >= FAILURES_MAX and circuit.open_until > now
            last = circuit.last
            if not is_open and circuit.under_way >= UNDER_WAY_MAX:
                is_open, last = True, Health.UNREACHABLE
            if not is_open:
                circuit.under_way += 1
                if circuit.failures >= FAILURES_MAX:
                    # Whoever comes while this one tries is told what is known.
                    circuit.open_until = now + OPEN_SECONDS
        if is_open:
            raise FetchFailed(last)
        return circuit

    def _note(self, circuit: _Circuit, failure: Health | None) -> None:
        if failure not in _TROUBLE or failure is None:
            circuit.failures = 0
            return
        circuit.failures += 1
        circuit.last = failure
        circuit.open_until = self._clock() + OPEN_SECONDS

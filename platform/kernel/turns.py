"""Time for one visit of a worker, shared with those who wait for the same locks."""

import time


class Turn:
    """Says after each step whether there is time for another one, and rests before it.

    Who decides meanwhile in the same books finds them free for as long as a step took, times `rest`.
    """

    __slots__ = ("_ends_at", "_rest", "_step_began_at")

    def __init__(self, *, seconds: float, rest: float = 0.0) -> None:
        self._step_began_at = time.monotonic()
        self._ends_at = self._step_began_at + seconds
        self._rest = rest

    def __call__(self) -> bool:
        if self._rest:
            time.sleep((time.monotonic() - self._step_began_at) * self._rest)
        self._step_began_at = time.monotonic()
        return self._step_began_at < self._ends_at

"""Counting a plane's HTTP answers: one tuple into a queue, everything else on the metrics' thread."""

import time
from bisect import bisect_left
from collections import Counter, deque
from typing import Final

from django.conf import settings

from kernel.metrics import catalogue, process
from kernel.metrics.tally import Tally

_QUEUED_MAX: Final = 50_000
_BOUNDS: Final = catalogue.RESPONSE_SECONDS.bounds

now_ns: Final = time.perf_counter_ns
_queue: Final[deque[tuple[int, int]]] = deque(maxlen=_QUEUED_MAX)
_process: Final = process.current


def note(status: int, began_ns: int) -> None:
    """An answer with this status to a request that arrived at `began_ns`. A third of a microsecond."""
    _queue.append((status, now_ns() - began_ns))
    if _process.flusher is None:
        process.ensure_flusher()


def _drain(tally: Tally) -> None:
    labels = (settings.PLANE,)
    statuses: Counter[int] = Counter()
    line = [0.0] * (len(_BOUNDS) + 2)
    for _ in range(len(_queue)):
        try:
            status, took_ns = _queue.popleft()
        except IndexError:
            break
        statuses[status] += 1
        seconds = took_ns / 1e9
        line[bisect_left(_BOUNDS, seconds)] += 1
        line[-1] += seconds
    for status, count in statuses.items():
        tally.add(catalogue.RESPONSES, (*labels, str(status)), count)
    if statuses:
        tally.add_numbers(catalogue.RESPONSE_SECONDS, labels, line)


process.drained_by(_drain)

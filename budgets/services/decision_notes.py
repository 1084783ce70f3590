"""What becomes of a decision for those who watch: counted, and where wished logged and traced.

Whoever decides puts one tuple into a queue and goes on; all else happens on a thread of its own, once a second. A
process that is killed loses the notes of that second. The books lose nothing: this is not their record.
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from django.conf import settings

from budgets.services.combiner import standing_count
from budgets.services.decision_log import ALL, log_decision
from budgets.services.decision_traces import trace_decision
from budgets.services.noted import Meaning, Noted
from budgets.services.operations import Answer, Operation
from kernel.http.correlation import Correlation
from kernel.ids import Tag
from kernel.lanes import shared_lanes
from kernel.logs.context import correlation_now
from kernel.metrics import catalogue, process
from kernel.metrics.recent import RecentNotes
from kernel.metrics.tally import Tally
from kernel.traces.port import listening

#: Noted between two looks; what comes beyond pushes out the oldest.
NOTES_MAX: Final = 50_000
#: After so many the thread lets others run: they have an answer to give.
_BREATH: Final = 64

UNAVAILABLE: Final = "unavailable"


#: What else is done with refusals, and with all decisions where `LOG_DECISIONS` or somebody who traces wants them.
sinks: Final[list[Callable[[Noted], None]]] = [log_decision, trace_decision]

_queue: Final[deque[tuple[Tag, Operation, Answer | None, int, int, Correlation | None]]] = deque(maxlen=NOTES_MAX)
_rate_limited: Final[deque[None]] = deque(maxlen=NOTES_MAX)
_recent: Final = RecentNotes()
_now_ns: Final = time.perf_counter_ns
_BOUNDS: Final = catalogue.DECISION_SECONDS.bounds
_put: Final = _queue.append
_process: Final = process.current


def began() -> int:
    """The moment that an operation arrives."""
    return _now_ns()


def note(tag: Tag, operation: Operation, answer: Answer | None, began_ns: int) -> None:
    """Half a microsecond, and it never fails."""
    correlation = None if listening.sink is None else correlation_now.get()
    _put((tag, operation, answer, began_ns, _now_ns(), correlation))
    if _process.flusher is None:
        process.ensure_flusher()


def note_rate_limited() -> None:
    """A call was refused without asking the books."""
    _rate_limited.append(None)
    if _process.flusher is None:
        process.ensure_flusher()


def drain(tally: Tally) -> None:
    """Bring in what was noted. Called by one thread at a time, or by several: each note is taken once."""
    if not _queue and not _rate_limited and not _recent.has_noted:
        # A process that decides nothing says nothing of its lines.
        return
    if len(_queue) == NOTES_MAX:
        # How many fell out cannot be known; that some did must be seen.
        tally.add(catalogue.NOTES_LOST)
    seen = _Seen()
    looks_at_all = settings.LOG_DECISIONS == ALL or listening.sink is not None
    for number in range(len(_queue)):
        try:
            tag, operation, answer, began_ns, ended_ns, correlation = _queue.popleft()
        except IndexError:
            break
        meaning = _meaning_of(operation, answer)
        seen.count(tag, meaning, (ended_ns - began_ns) / 1e9)
        if looks_at_all or meaning.reason:
            for sink in sinks:
                sink(Noted(tag, operation, answer, began_ns, ended_ns, meaning, correlation))
        if number % _BREATH == _BREATH - 1:
            time.sleep(0)
    seen.add_to(tally)
    limited = 0
    while _rate_limited:
        _rate_limited.pop()
        limited += 1
    if limited:
        tally.add(catalogue.RATE_LIMITED, amount=limited)
    tally.put(catalogue.LINES_STANDING, number=standing_count())
    tally.put(catalogue.LANES_BUSY, number=shared_lanes().busy_count)
    _recent.hand_on()


class _Seen:
    """What one look brings, added up before it is told: a note costs two small sums."""

    def __init__(self) -> None:
        self._counts: Counter[Meaning] = Counter()
        self._times: dict[str, list[float]] = {}
        self._tenants: Counter[tuple[str, str]] = Counter()
        self._is_by_tenant: bool = settings.METRICS_TENANTS

    def count(self, tag: Tag, meaning: Meaning, seconds: float) -> None:
        self._counts[meaning] += 1
        line = self._times.get(meaning.operation)
        if line is None:
            line = self._times[meaning.operation] = [0.0] * (len(_BOUNDS) + 2)
        line[bisect_left(_BOUNDS, seconds)] += 1
        line[-1] += seconds
        if self._is_by_tenant:
            self._tenants[tag, meaning.result] += 1

    def add_to(self, tally: Tally) -> None:
        for meaning, count in self._counts.items():
            tally.add(catalogue.DECISIONS, tuple(meaning), count)
            _recent.note_refused(meaning.reason, count)
        for operation, line in self._times.items():
            tally.add_numbers(catalogue.DECISION_SECONDS, (operation,), line)
            _recent.note_times(line)
        for labels, count in self._tenants.items():
            tally.add(catalogue.TENANT_DECISIONS, labels, count)


def _meaning_of(operation: Operation, answer: Answer | None) -> Meaning:
    name = operation.endpoint or operation.op
    if answer is None:
        return _meaning(name, None, False, None, None)
    return _meaning(name, answer.status, answer.replayed, answer.verdict, answer.reason)


# Few answers differ in these; the cache has room for more than there are.
@lru_cache(maxsize=4096)
def _meaning(name: str, status: str | None, is_replay: bool, verdict: str | None, reason: str | None) -> Meaning:
    if status is None:
        return Meaning(name, UNAVAILABLE, "")
    if status != "OK":
        return Meaning(name, "deny" if verdict == "DENY" else "refused", status)
    if verdict == "DENY":
        return Meaning(name, "deny", reason or "DENY")
    if is_replay:
        return Meaning(name, "replayed", "")
    return Meaning(name, verdict.lower() if verdict else "done", "")


process.drained_by(drain)

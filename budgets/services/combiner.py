"""Joins concurrent operations of one tenant into one call.

A lone operation is called at once, on its own thread. While a call is under way the others line up; when it is over,
the first in line leads the next call for as many as fit. Every operation gets its own verdict, in the order of arrival.

Whoever stands in a line keeps a thread of the process. So a line is short enough to leave half of the threads to other
tenants, and shorter still when others stand in lines too: a tenant whose books are slow costs nobody else an answer.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from budgets.services.operations import Answer, Operation

BATCH_MAX = 64
#: How many may stand in one tenant's line; half of the threads that `make up` gives a process.
WAITING_MAX = 128
#: How many, when `CROWD` of other tenants stand in lines.
WAITING_IN_CROWD_MAX = 16
CROWD = 64
#: Calls of one tenant and process under way at once. Two would wait for each other at the tenant's ledger head, and
#: only make the batches smaller.
CALLS_MAX = 1
WAIT_SECONDS_MAX = 1.9


class TooBusy(Exception):
    """The line of this tenant is full, or its turn did not come in time. Nothing was done."""


class OutcomeUnknown(Exception):
    """The call did not come back in time. It may have had its effect: the same key tells."""


@dataclass(slots=True, eq=False)
class _Ticket:
    operation: Operation
    turn: threading.Lock = field(default_factory=threading.Lock)
    led: "list[_Ticket] | None" = None
    answer: Answer | None = None
    error: BaseException | None = None

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer


class _Crowd:
    """How many threads of this process stand in lines, of all tenants."""

    __slots__ = ("_count", "_lock")

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def admits(self, line: "Combiner", *, waiting: int) -> bool:
        """Whether one more may wait where so many wait already; it is counted when it may."""
        with self._lock:
            # Those of the line whose call is under way stand there as well, and are no others.
            is_crowded = self._count - line.standing >= CROWD
            is_admitted = waiting < (WAITING_IN_CROWD_MAX if is_crowded else WAITING_MAX)
            self._count += is_admitted
            line.standing += is_admitted
            return is_admitted

    def leave(self, line: "Combiner") -> None:
        with self._lock:
            self._count -= 1
            line.standing -= 1

    @property
    def count(self) -> int:
        return self._count


_crowd = _Crowd()


def standing_count() -> int:
    """How many threads of this process stand in lines now."""
    return _crowd.count


class Combiner:
    """The line of one tenant in one process. `call` gets up to `BATCH_MAX` operations and returns an answer for each.

    A call that raises one of `dooms` would end no better for those in line: they are told at once.
    """

    __slots__ = ("_call", "_calls", "_dooms", "_mutex", "_waiting", "standing")

    def __init__(
        self, call: Callable[[Sequence[Operation]], list[Answer]], *, dooms: tuple[type[Exception], ...] = ()
    ) -> None:
        self._call = call
        self._calls = 0
        self._dooms = dooms
        self._mutex = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        #: Threads in this line: those that wait and those whose call is under way. Kept by the crowd.
        self.standing = 0

    @property
    def is_idle(self) -> bool:
        return self._calls == 0

    def submit(self, operation: Operation) -> Answer:
        """The answer to one operation. Raises `TooBusy`, `OutcomeUnknown`, or what the call raised."""
        ticket = _Ticket(operation)
        with self._mutex:
            if self._calls < CALLS_MAX:
                self._calls += 1
                ticket.led = [ticket]
            elif not _crowd.admits(self, waiting=len(self._waiting)):
                raise TooBusy
            else:
                ticket.turn.acquire()
                self._waiting.append(ticket)
        if ticket.led is None:
            try:
                self._wait(ticket)
            finally:
                _crowd.leave(self)
        if ticket.led is not None:
            self._lead(ticket.led)
        return ticket.result()

    def _wait(self, ticket: _Ticket) -> None:
        try:
            if ticket.turn.acquire(timeout=WAIT_SECONDS_MAX):
                return
            with self._mutex:
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                    raise TooBusy
                # Between the timeout and this lock it may have become the leader, and then the others count on it.
                if ticket.led is None and ticket.answer is None and ticket.error is None:
                    raise OutcomeUnknown
        except (TooBusy, OutcomeUnknown):
            raise
        except BaseException:
            self._leave(ticket)
            raise

    def _leave(self, ticket: _Ticket) -> None:
        """The thread of this ticket ends before its turn, or in the moment of it: the line goes on without it."""
        with self._mutex:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.led is not None:
            for other in ticket.led:
                other.error = TooBusy()
            self._pass_on(ticket.led)

    def _lead(self, batch: list[_Ticket]) -> None:
        is_doomed = False
        try:
            answers = self._call([ticket.operation for ticket in batch])
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answer = answer
        except BaseException as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
            is_doomed = isinstance(error, self._dooms)
            for ticket in batch:
                # What ends the leader's thread is no reason to end theirs.
                is_own = isinstance(error, Exception) or ticket is batch[0]
                ticket.error = error if is_own else OutcomeUnknown()
        if is_doomed:
            self._dismiss(batch[0].error)
        self._pass_on(batch)

    def _dismiss(self, error: BaseException | None) -> None:
        with self._mutex:
            dismissed = list(self._waiting)
            self._waiting.clear()
        for ticket in dismissed:
            ticket.error = error
            ticket.turn.release()

    def _pass_on(self, batch: list[_Ticket]) -> None:
        # The next call starts before this one's callers are woken: PostgreSQL should not wait for Python.
        successor: _Ticket | None = None
        with self._mutex:
            if self._waiting:
                following = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
                successor = following[0]
                successor.led = following
            else:
                self._calls -= 1
        if successor is not None:
            successor.turn.release()
        for ticket in batch[1:]:
            ticket.turn.release()

"""An HTTP load by the clock: so many units a second over all connections, whatever the answers do.

A unit is late from the moment that it was due, whether or not a connection was free for it then: a server that stands
still for a second is seen by all the units of that second.
"""

import select
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.figures import Figures, figures_of
from bench.load import DRAIN_SECONDS_MAX
from bench.wire import Client, Script, Tally, open_clients


def run(
    *,
    port: int,
    connections: int,
    rate: float,
    seconds: float,
    script: Callable[[int], Script],
    warm_seconds: float,
    on_window: Callable[[str], None] = lambda _name: None,
) -> Figures:
    """Have `rate` units a second begin, evenly, for `seconds` after a warm-up that does not count.

    A unit that was due in the counted seconds counts whenever it is answered; all are sent and waited for, for
    `DRAIN_SECONDS_MAX` at most, and one that is not answered by then counts with the time it has waited. Scripts go on
    for ever. Otherwise as `load.run`.
    """
    tally = Tally()
    with open_clients(port=port, connections=connections, script=script) as (poll, clients):
        plan = _Plan(
            rate=rate,
            began=time.perf_counter(),
            uncounted=round(warm_seconds * rate),
            total=round(warm_seconds * rate) + round(seconds * rate),
            free=deque(clients.values()),
        )
        counted_from = plan.began + warm_seconds
        marks = deque([(counted_from, "begin"), (counted_from + seconds, "end")])
        deadline = counted_from + seconds + DRAIN_SECONDS_MAX
        now = plan.began
        while marks or (plan.is_under_way(len(clients)) and now < deadline):
            plan.send_due(now)
            # Not epoll's own timeout, which knows whole milliseconds only.
            select.select([poll], [], [], max(0.0, plan.wake_at(marks[0][0] if marks else deadline) - now))
            _take_answers(poll, clients, tally, plan)
            now = time.perf_counter()
            while marks and marks[0][0] <= now:
                on_window(marks.popleft()[1])
        waiting = [client for client in clients.values() if client.is_waiting]
        given_up = [client.unit_started for client in waiting if client.counts] + plan.never_sent()
    return figures_of(
        [*tally.latencies_s, *(now - due for due in given_up)],
        # The seconds that the counted units stand for.
        seconds=(plan.total - plan.uncounted) / rate,
        units=tally.units,
        statuses=tally.statuses,
        accepted=tally.accepted,
        other_answers=tally.other_answers,
        declined=tally.declined,
        unanswered=len(waiting),
    )


@dataclass(slots=True, kw_only=True)
class _Plan:
    """Which units are due when, the first `uncounted` of `total` for warming up; `free` clients await the next one."""

    rate: float
    began: float
    uncounted: int
    total: int
    free: deque[Client] = field(default_factory=deque)
    sent: int = 0

    def due(self, number: int) -> float:
        return self.began + number / self.rate

    def send_due(self, now: float) -> None:
        """Every unit that is due, as far as there are clients for it."""
        while self.sent < self.total and self.free and self.due(self.sent) <= now:
            client = self.free.popleft()
            client.unit_started = self.due(self.sent)
            client.counts = self.sent >= self.uncounted
            client.send()
            self.sent += 1

    def wake_at(self, otherwise: float) -> float:
        """When the next unit is to be sent; with nothing to send or nobody to send it, answers alone wake."""
        return min(self.due(self.sent), otherwise) if self.sent < self.total and self.free else otherwise

    def is_under_way(self, clients: int) -> bool:
        return self.sent < self.total or len(self.free) < clients

    def never_sent(self) -> list[float]:
        """When the counted units were due that no connection was free for."""
        return [self.due(number) for number in range(max(self.sent, self.uncounted), self.total)]


def _take_answers(poll: select.epoll, clients: dict[int, Client], tally: Tally, plan: _Plan) -> None:
    for descriptor, _event in poll.poll(0):
        client = clients[descriptor]
        reply = client.receive()
        if reply is None:
            continue
        is_over = tally.note(client, reply, now=time.perf_counter())
        client.step = client.script.send(reply)
        if is_over:
            plan.free.append(client)
        else:
            client.send()

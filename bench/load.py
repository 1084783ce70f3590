"""A closed-loop HTTP load in one process: so many connections, each with one request under way, by epoll.

A client sends its next request when the answer to the last one is there: a slow server is asked less often, and how
late an open stream of requests would have been answered is not seen. `bench.pacing` is for that.
"""

import select
import time
from collections.abc import Callable

from bench.figures import Figures, figures_of
from bench.wire import Client, Script, Tally, open_clients

#: How long the last answers are waited for.
DRAIN_SECONDS_MAX = 10.0


def run(
    *,
    port: int,
    connections: int,
    seconds: float,
    script: Callable[[int], Script],
    warm_seconds: float,
    on_window: Callable[[str], None] = lambda _name: None,
) -> Figures:
    """Drive `connections` clients for `seconds`, after a warm-up that does not count; `script(n)` is what client n
    says.

    It ends early when every client has left. `on_window` is told "begin" and "end" of the counted seconds. Every
    request sent is waited for, `DRAIN_SECONDS_MAX` at most. Raises ConnectionError when the server hangs up.
    """
    clock = time.perf_counter
    tally = Tally()
    with open_clients(port=port, connections=connections, script=script) as (poll, clients):
        counted_from = clock() + warm_seconds
        end = counted_from + seconds
        for client in clients.values():
            client.unit_started = clock()
            client.send()
        _serve(poll, clients, tally, until=counted_from, counts=False)
        on_window("begin")
        _serve(poll, clients, tally, until=end, counts=True)
        counted_s = min(seconds, clock() - counted_from)
        on_window("end")
        waiting = _drain(poll, clients, tally)
    return figures_of(
        tally.latencies_s,
        seconds=counted_s,
        units=tally.units,
        statuses=tally.statuses,
        accepted=tally.accepted,
        other_answers=tally.other_answers,
        declined=tally.declined,
        unanswered=waiting,
    )


def _serve(poll: select.epoll, clients: dict[int, Client], tally: Tally, *, until: float, counts: bool) -> None:
    clock = time.perf_counter
    now = clock()
    for client in clients.values():
        client.counts = counts
    staying = sum(not client.has_left for client in clients.values())
    while staying and now < until:
        for descriptor, _event in poll.poll(min(1.0, until - now)):
            client = clients[descriptor]
            reply = client.receive()
            if reply is None:
                continue
            now = clock()
            if tally.note(client, reply, now=now):
                client.unit_started = now
            try:
                client.step = client.script.send(reply)
                client.send()
            except StopIteration:
                client.has_left = True
                staying -= 1
        now = clock()


def _drain(poll: select.epoll, clients: dict[int, Client], tally: Tally) -> int:
    """Wait for the requests under way; how many were not answered."""
    for client in clients.values():
        client.counts = False
    deadline = time.perf_counter() + DRAIN_SECONDS_MAX
    waiting = sum(client.is_waiting for client in clients.values())
    while waiting and time.perf_counter() < deadline:
        for descriptor, _event in poll.poll(0.1):
            client = clients[descriptor]
            reply = client.receive()
            if reply is not None:
                tally.note(client, reply, now=0.0)
                waiting -= 1
    return waiting

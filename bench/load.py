"""A closed-loop HTTP load in one process: so many connections, each with one request under way, by epoll and without a
framework.

It is part of what is measured (the load shares the machine with the server), so it does as little as it can for each
request. A client sends its next request when the answer to the last one is there: a slow server is asked less often,
and how late an open stream of requests would have been answered is not seen.
"""

import select
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.figures import Figures, figures_of

#: How long the last answers are waited for.
DRAIN_SECONDS_MAX = 10.0


class Step(NamedTuple):
    """A whole HTTP/1.1 request. `ends_unit`: with its answer the unit is done, if the answer is good."""

    request: bytes
    ends_unit: bool


class Reply(NamedTuple):
    status: int
    body: bytes


type Script = Generator[Step, Reply]
"""What one client says: it yields a step and is sent the reply. With its last step it leaves."""


@dataclass(slots=True)
class _Client:
    socket: socket.socket
    script: Script
    unit_started: float = 0.0
    ends_unit: bool = False
    is_waiting: bool = False
    has_left: bool = False
    received: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class _Tally:
    latencies_s: list[float] = field(default_factory=list)
    units: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    other_answers: int = 0


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
    tally = _Tally()
    poll = select.epoll()
    clients: dict[int, _Client] = {}
    try:
        for number in range(connections):
            link = _connect(port)
            clients[link.fileno()] = _Client(socket=link, script=script(number))
            poll.register(link.fileno(), select.EPOLLIN)
        counted_from = clock() + warm_seconds
        end = counted_from + seconds
        for client in clients.values():
            client.unit_started = clock()
            _send(client, next(client.script))
        _serve(poll, clients, tally, until=counted_from, counts=False)
        on_window("begin")
        _serve(poll, clients, tally, until=end, counts=True)
        counted_s = min(seconds, clock() - counted_from)
        on_window("end")
        waiting = _drain(poll, clients, tally)
    finally:
        for client in clients.values():
            client.socket.close()
        poll.close()
    return figures_of(
        tally.latencies_s,
        seconds=counted_s,
        units=tally.units,
        statuses=tally.statuses,
        accepted=tally.accepted,
        other_answers=tally.other_answers,
        unanswered=waiting,
    )


def _connect(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setblocking(False)
    return link


def _send(client: _Client, step: Step) -> None:
    client.ends_unit = step.ends_unit
    client.is_waiting = True
    client.socket.send(step.request)


def _serve(poll: select.epoll, clients: dict[int, _Client], tally: _Tally, *, until: float, counts: bool) -> None:
    clock = time.perf_counter
    latencies_s, statuses = tally.latencies_s, tally.statuses
    now = clock()
    staying = sum(not client.has_left for client in clients.values())
    while staying and now < until:
        for descriptor, _event in poll.poll(min(1.0, until - now)):
            client = clients[descriptor]
            reply = _receive(client)
            if reply is None:
                continue
            now = clock()
            is_good = _note(tally, reply)
            if counts:
                status = str(reply.status)
                statuses[status] = statuses.get(status, 0) + 1
                tally.units += client.ends_unit and is_good
                if client.ends_unit or not is_good:
                    latencies_s.append(now - client.unit_started)
            if client.ends_unit or not is_good:
                client.unit_started = now
            try:
                _send(client, client.script.send(reply))
            except StopIteration:
                client.has_left = True
                staying -= 1
        now = clock()


def _drain(poll: select.epoll, clients: dict[int, _Client], tally: _Tally) -> int:
    """Wait for the requests under way; how many were not answered."""
    deadline = time.perf_counter() + DRAIN_SECONDS_MAX
    waiting = sum(client.is_waiting for client in clients.values())
    while waiting and time.perf_counter() < deadline:
        for descriptor, _event in poll.poll(0.1):
            reply = _receive(clients[descriptor])
            if reply is not None:
                _note(tally, reply)
                waiting -= 1
    return waiting


def _note(tally: _Tally, reply: Reply) -> bool:
    is_good = 200 <= reply.status < 300
    if is_good:
        tally.accepted += 1
    else:
        tally.other_answers += 1
    return is_good


def _receive(client: _Client) -> Reply | None:
    """The reply if all of it is there. The server must send Content-Length."""
    chunk = client.socket.recv(65536)
    if not chunk:
        raise ConnectionError("The server closed a connection.")
    received = client.received
    received += chunk
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    length_at = received.lower().find(b"content-length:", 0, head_end)
    length = int(received[length_at + 15 : received.index(b"\r\n", length_at)])
    if len(received) < head_end + 4 + length:
        return None
    reply = Reply(status=int(received[9:12]), body=bytes(received[head_end + 4 :]))
    received.clear()
    client.is_waiting = False
    return reply

"""A closed-loop HTTP load in one process: so many connections, each with one request under way, by epoll and without a framework.

It is part of what is measured (the load shares the machine with the server), so it does as little as it can for each request.
"""

import itertools
import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

REQUEST_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run saw. Latencies in milliseconds; `statuses` counts HTTP statuses by step."""

    seconds: float
    requests: int
    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[str, int]


@dataclass(slots=True)
class _Client:
    """One connection's state: a generator that is sent each answer and yields the next request."""

    socket: socket.socket
    steps: "Iterator[bytes]"
    started: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def request(method: str, path: str, key: str, body: object | None = None) -> bytes:
    """A whole HTTP/1.1 request."""
    payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Cycles-API-Key: {key}\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(payload)}\r\n\r\n".encode() + payload


def run(
    *, port: int, connections: int, seconds: float, script: Callable[[int], "Iterator[bytes]"], warm_seconds: float = 1.0
) -> Measured:
    """Drive `connections` clients for `seconds`, after a warm-up that does not count.

    `script(n)` is client n's generator: it yields a request and is sent the answer's body, again and again.
    """
    poll = select.epoll()
    clients: dict[int, _Client] = {}
    for number in range(connections):
        link = socket.create_connection(("127.0.0.1", port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setblocking(False)
        clients[link.fileno()] = _Client(socket=link, steps=script(number))
        poll.register(link.fileno(), select.EPOLLIN)
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    clock = time.perf_counter
    begin = clock()
    for client in clients.values():
        client.started = clock()
        client.socket.send(next(client.steps))
    counted_from = begin + warm_seconds
    end = counted_from + seconds
    now = begin
    while now < end:
        for descriptor, _event in poll.poll(1.0):
            client = clients[descriptor]
            chunk = client.socket.recv(65536)
            if not chunk:
                raise ConnectionError("The server closed a connection.")
            client.received += chunk
            head_end = client.received.find(b"\r\n\r\n")
            if head_end < 0:
                continue
            length_at = client.received.lower().find(b"content-length:", 0, head_end)
            length = int(client.received[length_at + 15 : client.received.index(b"\r\n", length_at)])
            if len(client.received) < head_end + 4 + length:
                continue
            body = bytes(client.received[head_end + 4 :])
            status = client.received[9:12].decode()
            client.received.clear()
            now = clock()
            if now >= counted_from:
                latencies.append(now - client.started)
                statuses[status] = statuses.get(status, 0) + 1
            if now < end:
                following = client.steps.send(body)  # type: ignore[attr-defined]
                client.started = clock()
                client.socket.send(following)
        now = clock()
    for client in clients.values():
        client.socket.close()
    poll.close()
    latencies.sort()
    count = len(latencies)

    def quantile(share: float) -> float:
        return round(latencies[min(count - 1, int(count * share))] * 1000, 3) if count else 0.0

    return Measured(
        seconds=seconds,
        requests=count,
        rate=round(count / seconds, 1),
        p50_ms=quantile(0.50),
        p90_ms=quantile(0.90),
        p99_ms=quantile(0.99),
        max_ms=quantile(1.0),
        statuses=statuses,
    )


_numbers = itertools.count()
_run = os.urandom(6).hex()


def fresh_key() -> str:
    """An idempotency key that no other request of any run has."""
    return f"{_run}-{next(_numbers)}"

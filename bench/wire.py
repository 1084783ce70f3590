"""One client of the load: a connection, what it says, and what is counted of the answers. By sockets and without a
framework: the load shares the machine with the server, so it does as little as it can for each request.
"""

import select
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple


class Step(NamedTuple):
    """A whole HTTP/1.1 request. `ends_unit`: with its answer the unit is done, if the answer is good.

    An answer that contains `denial` is a refusal whatever its status; nothing is looked for where it is empty.
    """

    request: bytes
    ends_unit: bool
    denial: bytes = b""


class Reply(NamedTuple):
    status: int
    body: bytes


type Script = Generator[Step, Reply]
"""What one client says: it yields a step and is sent the reply. With its last step it leaves."""

#: What stands for the HTTP status of a refusal that came as a good answer.
DENIED = "DENY"


@dataclass(slots=True)
class Client:
    """`unit_started` is the moment from which the unit under way is late; `counts`: whether it is to be counted."""

    socket: socket.socket
    script: Script
    step: Step
    unit_started: float = 0.0
    counts: bool = False
    is_waiting: bool = False
    has_left: bool = False
    received: bytearray = field(default_factory=bytearray)

    def send(self) -> None:
        self.is_waiting = True
        self.socket.send(self.step.request)

    def receive(self) -> Reply | None:
        """The reply if all of it is there. The server must send Content-Length; raises ConnectionError if it hangs
        up.
        """
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("The server closed a connection.")
        received = self.received
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
        self.is_waiting = False
        return reply


@dataclass(slots=True)
class Tally:
    """What is counted. `latencies_s`, `units` and `statuses` are those of the counted seconds, the others of the whole
    run; `declined` are those of `other_answers` that say that nothing was done.
    """

    latencies_s: list[float] = field(default_factory=list)
    units: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    other_answers: int = 0
    declined: int = 0

    def note(self, client: Client, reply: Reply, *, now: float) -> bool:
        """Write down an answer; whether the unit is over with it."""
        step = client.step
        is_denied = bool(step.denial) and step.denial in reply.body
        is_good = 200 <= reply.status < 300 and not is_denied
        if is_good:
            self.accepted += 1
        else:
            self.other_answers += 1
            self.declined += is_denied or 400 <= reply.status < 500
        is_over = step.ends_unit or not is_good
        if client.counts:
            status = DENIED if is_denied else str(reply.status)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.units += step.ends_unit and is_good
            if is_over:
                self.latencies_s.append(now - client.unit_started)
        return is_over


@contextmanager
def open_clients(
    *, port: int, connections: int, script: Callable[[int], Script]
) -> Iterator[tuple[select.epoll, dict[int, Client]]]:
    """So many connected clients by descriptor, and what tells of their answers; closed with the block."""
    poll = select.epoll()
    clients: dict[int, Client] = {}
    try:
        for number in range(connections):
            link = socket.create_connection(("127.0.0.1", port))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setblocking(False)
            says = script(number)
            clients[link.fileno()] = Client(socket=link, script=says, step=next(says))
            poll.register(link.fileno(), select.EPOLLIN)
        yield poll, clients
    finally:
        for client in clients.values():
            client.socket.close()
        poll.close()

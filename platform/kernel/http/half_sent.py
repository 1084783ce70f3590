"""Ends requests that are begun and never finished.

The server hands a request to a thread when its headers are there, and waits for the body without a limit. A caller
that sends half a body, or a byte a minute, holds that thread, and enough of them hold the process. Neither the server
nor WSGI knows a limit of time, but the kernel knows of each connection when something was last received and sent. One
that has received and not been answered for so long is shut for reading: the thread sees the body end early, and
answers 400.

Linux only, and only for TCP; elsewhere a proxy that reads whole requests has to stand in front, as it should anyway.
"""

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")
#: From `struct tcp_info` of Linux: last_data_sent and last_data_recv (milliseconds ago), bytes_received, data_segs_out.
_TCP_INFO: Final = struct.Struct("=44xI4xI72xQ20xI")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A connection whose caller waits for an answer, or we for the rest of its request."""

    peer: object
    segments_sent: int


@dataclass(slots=True)
class HalfSentWatch:
    """Looks at this process's connections now and then. Shuts those that have waited for `seconds_max`."""

    seconds_max: float
    _since: dict[Waiting, float] = field(default_factory=dict)

    def start(self) -> None:
        """Watch from a thread of its own, where the kernel tells what there is to know."""
        if sys.platform == "linux":
            threading.Thread(target=self._watch, name="half-sent-watch", daemon=True).start()

    def look(self, now: float) -> int:
        """One look at all connections; the number of those that were shut."""
        shut = 0
        still: dict[Waiting, float] = {}
        for connection, waiting in _waiting_connections():
            with connection:
                since = self._since.get(waiting, now)
                if now - since < self.seconds_max:
                    still[waiting] = since
                    continue
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
                    shut += 1
        self._since = still
        return shut

    def _watch(self) -> None:
        while True:
            time.sleep(self.seconds_max / 4)
            # A connection that ends under our eyes is no reason to stop looking.
            with contextlib.suppress(OSError):
                self.look(time.monotonic())


def _waiting_connections() -> Iterator[tuple[socket.socket, Waiting]]:
    """Connections to our listeners that have received something since they last sent. The caller closes them."""
    connections = list(_tcp_sockets())
    ports = {connection.getsockname()[1] for connection in connections if _is_listener(connection)}
    for connection in connections:
        waiting = None
        with contextlib.suppress(OSError, struct.error):
            if not _is_listener(connection) and connection.getsockname()[1] in ports:
                waiting = _as_waiting(connection)
        if waiting is None:
            connection.close()
        else:
            yield connection, waiting


def _tcp_sockets() -> Iterator[socket.socket]:
    """This process's TCP sockets, each under a descriptor of its own, so that closing it leaves the server's open."""
    for descriptor in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):
            if not str(descriptor.readlink()).startswith("socket:"):
                continue
            found = socket.socket(fileno=os.dup(int(descriptor.name)))
            if found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM:
                yield found
            else:
                found.close()


def _is_listener(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def _as_waiting(connection: socket.socket) -> Waiting | None:
    sent_ms_ago, received_ms_ago, bytes_received, segments_sent = _TCP_INFO.unpack(
        connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    )
    # Before anything was sent, the time of sending is that of the connection, which may be the same millisecond.
    is_waiting = received_ms_ago < sent_ms_ago if segments_sent else bytes_received > 0
    return Waiting(peer=connection.getpeername(), segments_sent=segments_sent) if is_waiting else None

"""Connections over which an answer is read for so long and no longer, however slowly it comes.

Timeouts of sockets start anew with each byte. Here each wait has only what is left of the whole, from the first byte of
the status line to the last one of the body, so that a store that drips holds no thread for longer than that.
"""

import http.client
import io
import socket
import time
from typing import Any, Final, override

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

#: Of one answer, its head included.
ANSWER_SECONDS_MAX: Final = 3.0


class _TimedReading(io.RawIOBase):
    """What `raw` gives until the time is over, then `TimeoutError`."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection
        self._each_seconds = connection.gettimeout() or ANSWER_SECONDS_MAX
        self._ends_at = time.monotonic() + ANSWER_SECONDS_MAX

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any, /) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._connection.settimeout(min(left, self._each_seconds))
        return self._raw.readinto(buffer)

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        # Its own reader goes on below: it is what keeps the socket open until the body is read.
        self.fp = io.BufferedReader(_TimedReading(self.fp.detach(), sock))


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedTlsConnection(HTTPSConnection):
    response_class = _TimedResponse


class TimedPool(HTTPConnectionPool):
    """For `http://`."""

    ConnectionCls = _TimedConnection


class TimedTlsPool(HTTPSConnectionPool):
    """For `https://`. The handshake is bounded as a whole by the time for connecting."""

    ConnectionCls = _TimedTlsConnection


POOLS: Final = {"http": TimedPool, "https": TimedTlsPool}

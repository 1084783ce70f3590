"""HTTP as bytes on a socket, for requests that no client library would send."""

import json
import socket
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Self
from urllib.parse import urlsplit

CRLF = b"\r\n"
TIMEOUT_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """The first answer on a connection, and what came after it. `status` is 0 where nothing was answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes
    is_closed: bool

    @classmethod
    def parse(cls, received: bytes, *, is_closed: bool) -> Self:
        head, _, after = received.partition(CRLF * 2)
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1."):
            return cls(status=0, headers={}, body=b"", rest=received, is_closed=is_closed)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        return cls(
            status=int(lines[0].split(" ", 2)[1]),
            headers=headers,
            body=after[:length],
            rest=after[length:],
            is_closed=is_closed,
        )

    def json(self) -> Any:
        return json.loads(self.body)


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port or 80), timeout=TIMEOUT_SECONDS)


def read_answer(connection: socket.socket) -> RawAnswer:
    """What the server sends until it closes the connection or falls silent for the connection's timeout."""
    received, is_closed = b"", False
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                is_closed = True
                break
            received += piece
    except TimeoutError:
        pass
    except ConnectionError:
        is_closed = True
    return RawAnswer.parse(received, is_closed=is_closed)


def exchange(url: str, *pieces: bytes, ends: bool = False) -> RawAnswer:
    """Send bytes and read until the server closes. `ends` closes our half of the connection first."""
    with connect(url) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # It may answer and close before it has read everything; the answer is still there.
        return read_answer(connection)


def request(
    target: bytes,
    *,
    method: bytes = b"POST",
    token: str | None = None,
    headers: bytes = b"",
    body: bytes = b"",
    host: bytes | None = b"127.0.0.1",
    length: bytes | EllipsisType | None = ...,
    closes: bool = True,
) -> bytes:
    """The bytes of a request. `headers` are whole lines; `length` replaces the true Content-Length; None is none."""
    lines = [method + b" " + target + b" HTTP/1.1"]
    if host is not None:
        lines.append(b"Host: " + host)
    if token is not None:
        lines.append(b"X-Cycles-API-Key: " + token.encode())
    if body or length is not ...:
        lines.append(b"Content-Type: application/json")
    if isinstance(length, EllipsisType):
        length = b"%d" % len(body) if body else None
    if length is not None:
        lines.append(b"Content-Length: " + length)
    if closes:
        lines.append(b"Connection: close")
    return CRLF.join(lines) + CRLF + headers + CRLF + body

"""One connection to one receiver, to an address that was judged; no redirects, no proxies, and an end to all waiting.

Plain `http.client` over a socket of our own: the name is resolved once, and every byte in either direction counts
against one deadline, however slowly it trickles.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from telemetry.services.webhooks.addresses import AddressRefused, AddressRules, Endpoint, resolve

TIMEOUT_S: Final = 10.0
_CONNECT_TIMEOUT_S: Final = 5.0
_ADDRESSES_TRIED_MAX: Final = 3
#: An answer is read only so that the connection can be used again; one that is longer ends it.
_ANSWER_BYTES_MAX: Final = 64 * 1024


class NoAnswer(Exception):
    """Nobody was reached, or nothing came back in time. The text is a sentence that repeats nothing of the receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back. `retry_after_s` is what the receiver asked for, None where it did not."""

    status: int
    took_ms: int
    retry_after_s: int | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Receiver:
    """A receiver to which messages are posted one after the other. Closed by `with`."""

    __slots__ = ("_connection", "_endpoint", "_rules")

    def __init__(self, endpoint: Endpoint, rules: AddressRules) -> None:
        self._endpoint = endpoint
        self._rules = rules
        self._connection: _Connection | None = None

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def post(self, body: bytes, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Answered:
        """Post and read the answer. Raises `NoAnswer`; a message that raises may have arrived all the same."""
        began = time.monotonic()
        ends_at = began + timeout_s
        is_kept = self._connection is not None
        try:
            try:
                status, retry_after = self._post_once(body, headers, ends_at)
            except (ConnectionError, http.client.BadStatusLine):
                # The receiver may have hung up while nothing was sent: that is no answer to this message.
                if not is_kept:
                    raise
                self.close()
                status, retry_after = self._post_once(body, headers, ends_at)
        except AddressRefused as refusal:
            self.close()
            raise NoAnswer(str(refusal)) from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            raise NoAnswer(_words(error)) from None
        took_ms = round((time.monotonic() - began) * 1_000)
        return Answered(status=status, took_ms=took_ms, retry_after_s=_seconds(retry_after))

    def _post_once(self, body: bytes, headers: Mapping[str, str], ends_at: float) -> tuple[int, str | None]:
        if self._connection is None:
            self._connection = _Connection(self._endpoint, self._rules)
        connection = self._connection
        connection.ends_at = ends_at
        connection.request("POST", self._endpoint.target, body, {"Host": self._endpoint.authority, **headers})
        answer = connection.getresponse()
        rest = answer.read(_ANSWER_BYTES_MAX + 1)
        if len(rest) > _ANSWER_BYTES_MAX or answer.will_close:
            self.close()
        return answer.status, answer.getheader("Retry-After")


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a `_Wire`."""

    def __init__(self, endpoint: Endpoint, rules: AddressRules) -> None:
        super().__init__(endpoint.host, endpoint.port)
        self._to = endpoint
        self._rules = rules
        self.ends_at = 0.0

    def connect(self) -> None:
        raw = _connected(self._to, self._rules, self.ends_at)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._to.is_tls:
                raw.settimeout(_left(self.ends_at))
                raw = _tls().wrap_socket(raw, server_hostname=self._to.host)
        except BaseException:
            raw.close()
            raise
        # All that `http.client` asks of a socket.
        self.sock = cast("socket.socket", _Wire(raw, self))


class _Wire:
    """A socket whose every wait ends when the connection's message has had its time."""

    def __init__(self, raw: socket.socket, connection: _Connection) -> None:
        self._raw = raw
        self._connection = connection

    def sendall(self, content: Any) -> None:
        self._raw.settimeout(_left(self._connection.ends_at))
        self._raw.sendall(content)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._raw, self._connection))

    def close(self) -> None:
        self._raw.close()


class _Reader(io.RawIOBase):
    def __init__(self, raw: socket.socket, connection: _Connection) -> None:
        super().__init__()
        self._raw = raw
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(_left(self._connection.ends_at))
        return self._raw.recv_into(buffer)


def _connected(endpoint: Endpoint, rules: AddressRules, ends_at: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for family, where in resolve(endpoint, rules, timeout_s=_left(ends_at))[:_ADDRESSES_TRIED_MAX]:
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.settimeout(min(_CONNECT_TIMEOUT_S, _left(ends_at)))
            raw.connect(where)
        except OSError as error:
            raw.close()
            failure = error
        else:
            return raw
    raise failure


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 6 else None


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"No answer within {TIMEOUT_S:.0f} seconds."
    if isinstance(error, ssl.SSLError):
        return "The receiver's certificate is not valid, or it does not speak TLS."
    if isinstance(error, socket.gaierror | UnicodeError):
        return "The host has no address."
    if isinstance(error, ConnectionRefusedError):
        return "The connection was refused."
    if isinstance(error, ConnectionError):
        return "The receiver closed the connection."
    return "The receiver does not speak HTTP." if isinstance(error, http.client.HTTPException) else "It is unreachable."

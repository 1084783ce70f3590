"""A socket in front of PostgreSQL's that loses what one tells it to lose."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_SOCKET = ".s.PGSQL.5432"
#: CommandComplete and ReadyForQuery: what the server says together when a SELECT of one row has been committed.
_COMMITTED = b"SELECT 1\x00Z\x00\x00\x00\x05I"
#: Bind: with it the client asks for a statement to be executed.
_BIND = b"B\x00"

Loses = Literal["nothing", "questions", "answers"]


@dataclass(slots=True)
class PostgresProxy:
    """Forwards the connections of `folder` to those of `upstream`.

    `loses` says what it cuts connections on: a statement before the server hears of it ("questions"), or what the
    server says after it has committed one ("answers"). With `times` it does so that often and then no more.
    """

    folder: Path
    upstream: Path
    loses: Loses = "nothing"
    times: int = 0
    lost: int = 0
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / _SOCKET))
        self._listener.listen(64)
        threading.Thread(target=self._accept, name="postgres-proxy", daemon=True).start()

    def lose(self, what: Loses, *, times: int) -> None:
        self.lost, self.times, self.loses = 0, times, what

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.upstream / _SOCKET))
                for name, source, sink in (("questions", client, server), ("answers", server, client)):
                    threading.Thread(target=self._forward, args=(name, source, sink), daemon=True).start()

    def _forward(self, name: Loses, source: socket.socket, sink: socket.socket) -> None:
        sign = _BIND if name == "questions" else _COMMITTED
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 20):
                if self.loses == name and self.lost < self.times and sign in piece:
                    self.lost += 1
                    break
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def postgres_proxy(*, folder: Path, upstream: Path) -> Iterator[PostgresProxy]:
    folder.mkdir(parents=True, exist_ok=True)
    proxy = PostgresProxy(folder=folder, upstream=upstream)
    try:
        yield proxy
    finally:
        proxy.close()

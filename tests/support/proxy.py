"""A TCP proxy in the way of a client: it can lose answers that the server has given."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Proxy:
    """Forwards connections to `upstream`. With `loses_answers` it hangs up on the caller when an answer begins."""

    upstream: tuple[str, int]
    loses_answers: bool = False
    lost: int = 0
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                server = socket.create_connection(self.upstream)
                for target, arguments in ((self._ask, (caller, server)), (self._answer, (server, caller))):
                    threading.Thread(target=target, args=arguments, daemon=True).start()

    @staticmethod
    def _ask(caller: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), server:
            while piece := caller.recv(65536):
                server.sendall(piece)

    def _answer(self, server: socket.socket, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller:
            while piece := server.recv(65536):
                if self.loses_answers:
                    self.lost += 1
                    caller.shutdown(socket.SHUT_RDWR)
                    return
                caller.sendall(piece)


@contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy((parts.hostname, parts.port))
    try:
        yield proxy
    finally:
        proxy.close()

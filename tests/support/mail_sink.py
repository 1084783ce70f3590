"""Somebody's mail server, on the loopback, that keeps what it is given."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass(slots=True)
class MailSink:
    """`is_refusing`: no recipient is known."""

    port: int = 0
    is_refusing: bool = False
    recipients: list[str] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """As `config.sign_in.mail_server` writes them."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "",
            "password": "",
            "use_ssl": False,
            "use_tls": False,
            "timeout": 10,
        }


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    """A mail server on a free port."""
    sink = MailSink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 sink")
            while line := self.rfile.readline():
                verb = line[:4].upper().strip()
                if verb == b"RCPT":
                    sink.recipients.append(line.decode().partition("<")[2].partition(">")[0])
                    self._say("550 nobody" if sink.is_refusing else "250 ok")
                elif verb == b"DATA":
                    self._say("354 go on")
                    lines = []
                    while (each := self.rfile.readline()) not in {b".\r\n", b""}:
                        lines.append(each)
                    sink.messages.append(message_from_bytes(b"".join(lines), policy=policy.default))
                    self._say("250 kept")
                elif verb == b"QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()

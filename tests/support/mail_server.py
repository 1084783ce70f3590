"""A mail server on the loopback that takes nearly everything and remembers it."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

_WAIT_S: Final = 20


@dataclass(slots=True)
class MailServer:
    """`url` is what `EMAIL_URL` takes; `received` grows as mails come in. Nobody `refused` has a box here.

    Of those `unsure` it asks that their mail be sent again later.
    """

    url: str
    received: list[EmailMessage] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)

    @property
    def readers(self) -> list[str]:
        """Whom the mails were for, in the order in which they came."""
        return [str(each["To"]) for each in self.received]

    def wait_for(self, count: int) -> list[EmailMessage]:
        """All mails, once there are so many. Raises `TimeoutError`."""
        deadline = time.monotonic() + _WAIT_S
        while len(self.received) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.received)} of {count} mails came")
            time.sleep(0.05)
        return list(self.received)


@contextmanager
def listening_for_mail() -> Iterator[MailServer]:
    """One on a free port."""
    found = MailServer(url="")

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline():
                match line.strip().upper()[:4]:
                    case b"DATA":
                        self._say("354 go on")
                        found.received.append(self._message())
                        self._say("250 taken")
                    case b"RCPT" if any(f"<{each}>".encode() in line for each in found.refused):
                        self._say("550 nobody here")
                    case b"RCPT" if any(f"<{each}>".encode() in line for each in found.unsure):
                        self._say("451 greylisted, come again")
                    case b"QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("250 yes")

        def _message(self) -> EmailMessage:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line.removeprefix(b".").replace(b"\r\n", b"\n"))
            return message_from_bytes(b"".join(lines), policy=policy.default)

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        try:
            yield found
        finally:
            server.shutdown()

"""One Valkey server on a socket. It persists nothing: all that is in it can be lost and rebuilt."""

import socket
import time
from dataclasses import dataclass

from kernel.embedded.account import ServerAccount
from kernel.embedded.errors import EmbeddedServerError
from kernel.embedded.layout import Layout
from kernel.embedded.programs import valkey_program

START_TIMEOUT_S = 10

#: Tests that run at once have one each, so that none empties another one's.
DATABASES = 1024

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "yes",
    "save": '""',
    "appendonly": "no",
    "databases": str(DATABASES),
    "maxmemory": "256mb",
    # Rate buckets and cache entries expire and may go; the broker's queues never expire and stay.
    "maxmemory-policy": "volatile-lru",
}


@dataclass(frozen=True, slots=True)
class Valkey:
    layout: Layout
    account: ServerAccount

    def start(self) -> None:
        """Start it if it is down. Safe to repeat. The caller holds the layout's lock."""
        if self.is_running():
            return
        self.layout.valkey_socket.unlink(missing_ok=True)
        folder = self.layout.valkey_folder
        settings = SETTINGS | {
            "dir": f'"{folder}"',
            "unixsocket": f'"{self.layout.valkey_socket}"',
            "logfile": f'"{self.layout.log_folder / "valkey.log"}"',
        }
        configuration = folder / "valkey.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        configuration.chmod(0o644)
        result = self.account.run([str(valkey_program()), str(configuration)])
        if result.returncode or not self._answers_within(START_TIMEOUT_S):
            output = result.stdout.strip().splitlines()
            reason = output[-1] if output else f"see {self.layout.log_folder / 'valkey.log'}"
            raise EmbeddedServerError(f"Valkey did not start: {reason}")

    def stop(self) -> None:
        """Stop it and wait until it is gone. Safe to repeat."""
        if not self.is_running():
            return
        self._say(b"SHUTDOWN NOSAVE\r\n")
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.is_running():
            if time.monotonic() > deadline:
                raise EmbeddedServerError("Valkey does not stop although it was asked to.")
            time.sleep(0.05)

    def is_running(self) -> bool:
        return self._say(b"PING\r\n").startswith(b"+PONG")

    def _answers_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _say(self, command: bytes) -> bytes:
        """Send one inline command; an empty answer when nobody listens."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(2)
                connection.connect(str(self.layout.valkey_socket))
                connection.sendall(command)
                return connection.recv(64)
        except OSError:
            return b""

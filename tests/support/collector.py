"""A collector of OpenTelemetry on loopback: it keeps what is exported to it, as it came."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

#: How long a process gathers spans before it sends them, for its environment.
GATHERING: Final = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@dataclass(slots=True)
class Collector:
    """`bodies` are the requests, not packed: names and texts of spans stand in them as they are."""

    address: str
    bodies: list[bytes] = field(default_factory=list)

    def text(self) -> str:
        return b"\n".join(self.bodies).decode("latin-1")


@contextmanager
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()

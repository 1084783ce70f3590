"""A server of the wire's shape that does as it is told: each path has a queue of answers, and a default after it."""

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADMIT = "/v1/x-watermaster/admit"
SETTLE = "/v1/x-watermaster/settle"
TOOLS = "/v1/x-watermaster/tools"
ISOLATION = "/v1/x-watermaster/isolation"
#: What the server says of a tenant for names.
OWN = {"cache_key_prefix": f"wm:{'0a' * 16}:", "vector_namespace": f"wm_{'abcdefghij' * 2}"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `drop` closes the connection after the request was taken; `delay_s` waits before answering."""

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    delay_s: float = 0


def refusal(status: int, code: str, message: str = "No.", **details: Any) -> Reply:
    return Reply(status, {"error": code, "message": message, "request_id": "req_1", "details": details})


def admission(**fields: Any) -> dict[str, Any]:
    """What admit answers where nothing is against it."""
    return {
        "decision": "ALLOW",
        "decision_id": "dec_1",
        "explain_url": "http://console/explain/dec_1/",
        "reasons": [],
        "checks": 9,
        "isolation": OWN,
        **fields,
    }


def denial(code: str, **fields: Any) -> dict[str, Any]:
    reason = {"code": code, "sentence": f"Refused: {code}.", "scope": "tenant:acme", "numbers": {"remaining": 0}}
    return admission(decision="DENY", reasons=[reason], **fields)


class FakeServer:
    """Listens on a free port of the loopback until it is stopped; `go_away` and `come_back` keep the port."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.is_away = False
        self._queues: dict[str, deque[Reply]] = {}
        self._defaults: dict[str, Reply] = {}
        self._holds = 0
        self._guard = threading.Lock()
        self._port = 0
        self.come_back()

    def come_back(self) -> None:
        self.is_away = False
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._http.daemon_threads = True
        self._port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def go_away(self) -> None:
        # Threads of open connections outlive the listener.
        self.is_away = True
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def then(self, path: str, *replies: Reply) -> None:
        """The next answers on a path, before the default."""
        self._queues.setdefault(path, deque()).extend(replies)

    def always(self, path: str, reply: Reply) -> None:
        self._defaults[path] = reply

    def to(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def answer(self, call: Call) -> Reply:
        with self._guard:
            self.calls.append(call)
            if queue := self._queues.get(call.path):
                return queue.popleft()
            return self._defaults.get(call.path) or self._by_itself(call)

    def _by_itself(self, call: Call) -> Reply:
        if call.path == ADMIT:
            self._holds += 1
            amount = {"unit": "USD_MICROCENTS", "amount": 500}
            held = {"reservation_id": f"rsv_{self._holds}", "reserved": amount, "remaining_ttl_ms": call.body["ttl_ms"]}
            return Reply(body=admission(reservation=held))
        if call.path == SETTLE:
            amount = {"unit": "USD_MICROCENTS", "amount": 400}
            lines = [{"kind": "input", "quantity": 10, "unit_price": 2, "amount": 20}]
            known = {"status": "COMMITTED", "charged": amount, "cost": amount, "lines": lines}
            return Reply(body={**known, "reservation_id": call.body["reservation_id"]})
        if call.path.startswith(ISOLATION):
            return Reply(body={"tenant": "acme", **OWN, "credential_scopes": []})
        if call.path == TOOLS:
            return Reply(body={"tools": call.body["tools"]})
        if call.path.endswith("/commit"):
            return Reply(body={"status": "COMMITTED", "charged": call.body["actual"], "balances": []})
        if call.path.endswith("/release"):
            return Reply(body={"status": "RELEASED"})
        if call.path.endswith("/extend"):
            return Reply(body={"status": "ACTIVE", "remaining_ttl_ms": call.body["extend_by_ms"]})
        return refusal(404, "NOT_FOUND")


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _reply(self, body: dict[str, Any]) -> None:
        reply = Reply(drop=True) if self.fake.is_away else self.fake.answer(Call(self.path, body, dict(self.headers)))
        time.sleep(reply.delay_s)
        if reply.drop:
            self.close_connection = True
            return
        content = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the calls are kept."""

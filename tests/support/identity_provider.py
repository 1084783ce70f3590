"""An OpenID Connect provider of our own, over real HTTP on the loopback: discovery, token and user-info endpoints."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class IdentityProvider:
    """`claims` are what it says of whoever signs in next; `token_requests` what it was sent for a token."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    token_requests: list[str] = field(default_factory=list)


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/.well-known/"):
                self._answer(
                    {
                        "issuer": provider.url,
                        "authorization_endpoint": f"{provider.url}/authorize",
                        "token_endpoint": f"{provider.url}/token",
                        "userinfo_endpoint": f"{provider.url}/userinfo",
                        "jwks_uri": f"{provider.url}/keys",
                        "token_endpoint_auth_methods_supported": ["client_secret_post"],
                    }
                )
            else:
                self._answer(provider.claims)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            provider.token_requests.append(self.rfile.read(length).decode())
            self._answer({"access_token": "opaque", "token_type": "Bearer", "expires_in": 60})

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Signing in as a pod: by the service account's token, read anew each time. A stand-in plays the store."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from kernel.ids import mint_tag
from vault.backends.openbao import OpenBao
from vault.backends.options import OpenBaoOptions
from vault.kinds import BackEnd


def test_signs_in_with_the_token_that_is_there_now(tmp_path: Path) -> None:
    asked: list[tuple[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, sent))
            # The pod's token is replaced as soon as the first one was used, and before anybody is told.
            jwt.write_text("second\n")
            self._say({"auth": {"client_token": sent["jwt"] + "-token", "lease_duration": 60, "renewable": True}})

        def do_GET(self) -> None:
            asked.append((self.path, self.headers["X-Vault-Token"]))
            if self.headers["X-Vault-Token"] != "second-token":
                self._say({"errors": ["permission denied"]}, status=403)
                return
            self._say({"data": {"data": {"token": "x"}, "metadata": {"version": 1}}})

        def _say(self, body: object, *, status: int = 200) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    jwt = tmp_path / "jwt"
    jwt.write_text("first\n")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    tag = mint_tag()
    try:
        options = OpenBaoOptions(
            address=f"http://127.0.0.1:{server.server_port}",
            sign_in="kubernetes",
            kubernetes_role="watermaster",
            kubernetes_token_file=jwt,
        )
        fetched = OpenBao(options, back_end=BackEnd.KV).fetch(tag=tag, path=f"wm/{tag}/slack", version="")
    finally:
        server.shutdown()
        server.server_close()

    assert fetched.secret.reveal() == {"token": "x"}
    sign_in, read = "/v1/auth/kubernetes/login", f"/v1/secret/data/wm/{tag}/slack"
    assert asked == [
        (sign_in, {"role": "watermaster", "jwt": "first"}),
        (read, "first-token"),
        (sign_in, {"role": "watermaster", "jwt": "second"}),
        (read, "second-token"),
    ]

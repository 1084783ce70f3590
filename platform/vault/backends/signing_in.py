"""How this program signs in to OpenBao or Vault, and keeps what it was given alive."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from vault.backends.door import FetchFailed
from vault.backends.http import without_nothing
from vault.backends.options import OpenBaoOptions
from vault.kinds import Health

#: What is left of a token's life when it is renewed.
_RENEW_AT_SHARE: Final = 0.5


class Client(Protocol):
    """As much of `hvac.Client` as is used; its library has no types."""

    token: str | None
    auth: Any
    secrets: Any
    sys: Any

    def read(self, path: str) -> Any: ...


@dataclass(slots=True)
class _Token:
    text: str = field(repr=False)
    #: By the breaker's clock; None for one that needs no renewal.
    renew_at: float | None
    ends_at: float | None


class SignedIn:
    """One token for the whole process, made when it is first needed and renewed at half of its life."""

    def __init__(self, options: OpenBaoOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None

    @property
    def can_sign_in_anew(self) -> bool:
        """Whether a refused token may be followed by another one."""
        return self._options.sign_in != "token" or self._options.token_file is not None

    def enter(self, client: Client) -> None:
        """Give `client`, which asks where this program signs in, a token that is good now."""
        with self._lock:
            now = self._clock()
            if self._token is None or (self._token.ends_at is not None and self._token.ends_at <= now):
                self._token = self._signed_in(client)
            client.token = self._token.text
            if self._token.renew_at is not None and self._token.renew_at <= now:
                self._renew(client)

    def forget(self, token: str | None) -> None:
        """The store has refused this token."""
        with self._lock:
            if self._token is not None and self._token.text == token:
                self._token = None

    def _renew(self, client: Client) -> None:
        failed = False
        try:
            answer = client.auth.token.renew_self()
        except Exception:  # noqa: BLE001  whatever it is, signing in anew says more
            failed = True
        if failed:
            if self.can_sign_in_anew:
                self._token = self._signed_in(client)
                client.token = self._token.text
            return
        self._token = self._of(answer["auth"])
        client.token = self._token.text

    def _signed_in(self, client: Client) -> _Token:
        options = self._options
        client.token = None
        where = without_nothing({"mount_point": options.sign_in_mount})
        if options.sign_in == "approle":
            secret_id = _text(options.secret_id_file) or options.secret_id
            return self._of(client.auth.approle.login(options.role_id, secret_id, use_token=False, **where)["auth"])
        if options.sign_in == "kubernetes":
            jwt = _text(options.kubernetes_token_file)
            return self._of(
                client.auth.kubernetes.login(options.kubernetes_role, jwt, use_token=False, **where)["auth"]
            )
        client.token = _text(options.token_file) or options.token
        if not client.token:
            raise FetchFailed(Health.FORBIDDEN)
        known = client.auth.token.lookup_self()["data"]
        return self._of(
            {"client_token": client.token, "lease_duration": known["ttl"], "renewable": known.get("renewable")}
        )

    def _of(self, auth: Any) -> _Token:
        seconds, now = auth["lease_duration"], self._clock()
        return _Token(
            text=auth["client_token"],
            renew_at=now + seconds * _RENEW_AT_SHARE if seconds and auth.get("renewable") else None,
            ends_at=now + seconds if seconds else None,
        )


def _text(path: Path | None) -> str:
    """What the file says, nothing where there is none."""
    try:
        return path.read_text().strip() if path else ""
    except OSError:
        return ""

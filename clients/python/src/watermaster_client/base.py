"""What both clients have in common: the address, the key, the outbox and the thread that empties it."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Unpack

import httpx
import msgspec

from watermaster_client.act import Question, admit_body
from watermaster_client.errors import Failure
from watermaster_client.heartbeat import Heartbeat
from watermaster_client.outbox import Outbox, Record, default_folder
from watermaster_client.replayer import Replayer
from watermaster_client.transport import Retry, T, answer_of, unreachable
from watermaster_client.wire import Action, Settlement, Subject

try:
    _VERSION = version("watermaster-client")
except PackageNotFoundError:  # imported from its sources
    _VERSION = "0"
_CONNECT_S: Final = 2.0


class Base:
    """Not for use by itself: see `Watermaster` and `AsyncWatermaster`."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        subject: Subject | None = None,
        timeout_s: float = 10.0,
        retry: Retry | None = None,
        outbox_folder: Path | str | None = None,
        use_outbox: bool = True,
    ) -> None:
        """`subject` is what every call is for unless it says otherwise; levels given with a call are laid over it.

        Settles that the server cannot take are kept in `outbox_folder`, by default in the user's folder for state;
        those that an earlier process left there are sent in the background. Raises ValueError for a bad address.
        """
        if httpx.URL(base_url).scheme not in {"http", "https"}:
            raise ValueError("The address of the Watermaster server starts with http:// or https://.")
        self._base_url = base_url.rstrip("/")
        self._headers = {
            "X-Cycles-API-Key": api_key,
            "Content-Type": "application/json",
            "User-Agent": f"watermaster-client/{_VERSION}",
        }
        self._subject: Subject = subject or {}
        self._timeout = httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s))
        self._retry = retry or Retry()
        self._heartbeat = Heartbeat()
        self._blocking: httpx.Client | None = None
        self._guard = threading.Lock()
        self.outbox: Outbox | None = None
        self._replayer: Replayer | None = None
        if use_outbox:
            folder = (
                default_folder(base_url=self._base_url, api_key=api_key) if outbox_folder is None else outbox_folder
            )
            self.outbox = Outbox(Path(folder))
            self._replayer = Replayer(self.outbox, self._send)
            self._wake()

    def _wake(self) -> None:
        if self._replayer is not None and self.outbox is not None and self.outbox.has_any():
            self._replayer.wake()

    def flush(self) -> int:
        """Send what waits in the outbox now; answers how many settles still wait."""
        return self.outbox.replay(self._send) if self.outbox is not None else 0

    def _send(self, record: Record) -> Settlement:
        """One settle out of the outbox, tried once: the replay itself waits and comes again. Raises `Failure`."""
        return self._post_once(record.path, msgspec.json.encode(record.body), Settlement)

    def _post_once(self, path: str, content: bytes, kind: type[T]) -> T:
        try:
            response = self._http().post(path, content=content)
        except httpx.TransportError as error:
            raise unreachable(error) from error
        return answer_of(response, kind)

    def _get_once(self, path: str, query: Mapping[str, str], kind: type[T]) -> T:
        try:
            response = self._http().get(path, params=query)
        except httpx.TransportError as error:
            raise unreachable(error) from error
        return answer_of(response, kind)

    def _http(self) -> httpx.Client:
        """Made at its first use: the asynchronous client needs it only for the outbox."""
        with self._guard:
            if self._blocking is None:
                self._blocking = httpx.Client(base_url=self._base_url, headers=self._headers, timeout=self._timeout)
            return self._blocking

    def _wait_s(self, failure: Failure, *, attempt: int, begun_at: float) -> float | None:
        elapsed_s = time.monotonic() - begun_at
        return self._retry.wait_s(failure, attempt=attempt, elapsed_s=elapsed_s, jitter=random.random())

    def _close_blocking(self) -> None:
        self._heartbeat.stop()
        if self._replayer is not None:
            self._replayer.stop()
        with self._guard:
            if self._blocking is not None:
                self._blocking.close()

    def _question(self, subject: Subject | None, action: Action, **question: Unpack[Question]) -> dict[str, Any]:
        return admit_body(subject={**self._subject, **(subject or {})}, action=action, **question)

    def _tools_body(
        self, tools: Sequence[Mapping[str, Any]], subject: Subject | None, tool_choice: object
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"subject": {**self._subject, **(subject or {})}, "tools": tools}
        return body if tool_choice is None else {**body, "tool_choice": tool_choice}

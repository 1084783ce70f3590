"""When to send a request again, and what an HTTP answer means. Nothing here does input or output."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
import msgspec

from watermaster_client.errors import ApiError, Failure, Unavailable

T = TypeVar("T")

_MESSAGE_LENGTH_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a request is sent with one idempotency key.

    Not more than `attempts_max` times, and none begins after `total_s`. A `Retry-After` above `wait_s_max` is not
    waited for.
    """

    attempts_max: int = 4
    first_wait_s: float = 0.1
    wait_s_max: float = 5.0
    total_s: float = 15.0

    def wait_s(self, failure: Failure, *, attempt: int, elapsed_s: float, jitter: float) -> float | None:
        """Seconds until the next attempt after the `attempt`-th failed; None: give up. `jitter` is from 0 to 1."""
        if not failure.may_repeat or attempt >= self.attempts_max or elapsed_s >= self.total_s:
            return None
        if failure.retry_after_s is not None:
            return failure.retry_after_s if failure.retry_after_s <= self.wait_s_max else None
        return min(self.wait_s_max, self.first_wait_s * 2.0 ** (attempt - 1)) * (0.5 + jitter / 2)


def failure_of(response: httpx.Response) -> Failure | None:
    """None for an answer of success."""
    if response.is_success:
        return None
    body = _error_body(response)
    message = str(body.get("message") or response.reason_phrase)[:_MESSAGE_LENGTH_MAX]
    retry_after_s = _seconds(response.headers.get("Retry-After"))
    if not response.is_client_error:
        return Unavailable(
            f"{response.status_code}: {message}", status=response.status_code, retry_after_s=retry_after_s
        )
    details = body.get("details")
    return ApiError(
        message,
        status=response.status_code,
        code=str(body.get("error") or ""),
        request_id=str(body.get("request_id") or response.headers.get("X-Request-Id", "")),
        details=details if isinstance(details, dict) else {},
        retry_after_s=retry_after_s,
    )


def answer_of(response: httpx.Response, kind: type[T]) -> T:
    """The answer of success. Raises `Failure`, also for a 200 that is not Watermaster's, such as a proxy's own page."""
    if failure := failure_of(response):
        raise failure
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"The answer is not one of Watermaster's ({error}).", status=response.status_code) from error


def unreachable(error: httpx.TransportError) -> Unavailable:
    """What a broken connection is to the caller."""
    return Unavailable(f"The Watermaster server did not answer ({type(error).__name__}: {error}).")


def _error_body(response: httpx.Response) -> dict[str, Any]:
    # A proxy in between may answer with a page of its own.
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(header: str | None) -> float | None:
    """The server sends whole seconds; a date, which HTTP allows too, is taken as no word about the time."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None

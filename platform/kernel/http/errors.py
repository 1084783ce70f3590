"""Refusals in the protocol's words, and how they look on the wire.

Every answer of 4xx or 5xx has the body of the contract's ErrorResponse. Its list of codes is closed, so a
status that has no code of its own (405, 413, 415, 503) borrows the nearest one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, cast

import msgspec


class ErrorCode(StrEnum):
    """The contract's closed list."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    BUDGET_FROZEN = "BUDGET_FROZEN"
    BUDGET_CLOSED = "BUDGET_CLOSED"
    RESERVATION_EXPIRED = "RESERVATION_EXPIRED"
    RESERVATION_FINALIZED = "RESERVATION_FINALIZED"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    UNIT_MISMATCH = "UNIT_MISMATCH"
    OVERDRAFT_LIMIT_EXCEEDED = "OVERDRAFT_LIMIT_EXCEEDED"
    DEBT_OUTSTANDING = "DEBT_OUTSTANDING"
    MAX_EXTENSIONS_EXCEEDED = "MAX_EXTENSIONS_EXCEEDED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    TENANT_CLOSED = "TENANT_CLOSED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class AdminErrorCode(StrEnum):
    """What the protocol's management contract has beside those, as far as we answer it."""

    COUNT_MISMATCH = "COUNT_MISMATCH"


STATUS_OF: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.BUDGET_EXCEEDED: 409,
    ErrorCode.BUDGET_FROZEN: 409,
    ErrorCode.BUDGET_CLOSED: 409,
    ErrorCode.RESERVATION_EXPIRED: 410,
    ErrorCode.RESERVATION_FINALIZED: 409,
    ErrorCode.IDEMPOTENCY_MISMATCH: 409,
    ErrorCode.UNIT_MISMATCH: 400,
    ErrorCode.OVERDRAFT_LIMIT_EXCEEDED: 409,
    ErrorCode.DEBT_OUTSTANDING: 409,
    ErrorCode.MAX_EXTENSIONS_EXCEEDED: 409,
    ErrorCode.LIMIT_EXCEEDED: 429,
    ErrorCode.TENANT_CLOSED: 409,
    ErrorCode.INTERNAL_ERROR: 500,
}


class ProtocolError(Exception):
    """A refusal that the caller gets to read.

    `message` is one or two sentences that say what to mend and never repeat a value from the request.
    `details` must be plain JSON data. `retry_after_s` becomes the header Retry-After. A code of the management contract
    needs its `status`.
    """

    def __init__(
        self,
        code: ErrorCode | AdminErrorCode,
        message: str,
        *,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS_OF[ErrorCode(code)] if status is None else status
        self.details = details
        self.retry_after_s = retry_after_s


def invalid_request(message: str, *, field: str | None = None) -> ProtocolError:
    """400; `field` is the path of the offending field, as in `subject.workspace`."""
    details = None if field is None else {"field": field}
    return ProtocolError(ErrorCode.INVALID_REQUEST, message, details=details)


def require_order(values: Mapping[str, Any], first: str, last: str) -> None:
    """Refuses with 400 a while that ends before it begins; either end may be missing."""
    begins, ends = values.get(first), values.get(last)
    if begins is not None and ends is not None and begins > ends:
        raise invalid_request(f"{first} must not be later than {last}.", field=first)


def unavailable(message: str, *, retry_after_s: int = 1) -> ProtocolError:
    """503: nothing was decided, and the same request may succeed a moment later."""
    return ProtocolError(ErrorCode.INTERNAL_ERROR, message, status=503, retry_after_s=retry_after_s)


_OF_STATUS: Final[Mapping[int, tuple[ErrorCode, str]]] = {
    400: (ErrorCode.INVALID_REQUEST, "The request is malformed."),
    401: (ErrorCode.UNAUTHORIZED, "Send a valid API key in the header X-Cycles-API-Key."),
    403: (ErrorCode.FORBIDDEN, "This API key does not permit that."),
    404: (
        ErrorCode.NOT_FOUND,
        "There is nothing here, or nothing that this key may see. Check the path and the ids that you sent.",
    ),
    405: (ErrorCode.INVALID_REQUEST, "This address does not answer that method."),
    406: (ErrorCode.INVALID_REQUEST, "This address answers application/json only."),
    411: (ErrorCode.INVALID_REQUEST, "Send the header Content-Length with the body."),
    413: (ErrorCode.INVALID_REQUEST, "The body is larger than 256 KiB."),
    415: (ErrorCode.INVALID_REQUEST, "Send the body as application/json in UTF-8, uncompressed."),
    429: (ErrorCode.LIMIT_EXCEEDED, "Too many requests. Try again later."),
    500: (ErrorCode.INTERNAL_ERROR, "Something failed on our side. Quote the request id."),
    503: (ErrorCode.INTERNAL_ERROR, "The service is not available. Try again in a moment."),
}


def error_of_status(status: int, *, retry_after_s: int | None = None) -> ProtocolError:
    """The refusal for a bare status, with a general message; an unlisted one gets the code of its class."""
    code, message = _OF_STATUS.get(status) or _OF_STATUS[400 if status < 500 else 500]
    return ProtocolError(code, message, status=status, retry_after_s=retry_after_s)


class ErrorBody(msgspec.Struct, omit_defaults=True):
    """What stands in the body of a refusal."""

    error: ErrorCode
    message: str
    request_id: str
    trace_id: str | None = None
    details: Mapping[str, Any] | None = None


_ENCODER: Final = msgspec.json.Encoder()


def render_error(error: ProtocolError, *, request_id: str, trace_id: str, user_agent: str) -> bytes:
    """The JSON body of `error`, valid against the contract's ErrorResponse.

    runcycles 0.5.3 (which announces itself as python-httpx) knows no `trace_id` and cannot read a body that has one:
    it loses the details, and takes the refusal for a riddle, which it journals and repeats for ever. It finds the
    trace id in the header X-Cycles-Trace-Id.
    """
    knows_no_trace_id = "python-httpx" in user_agent or "runcycles" in user_agent
    return _ENCODER.encode(
        ErrorBody(
            # The runtime's description is made of this body, and its list of codes is closed.
            error=cast("ErrorCode", error.code),
            message=error.message,
            request_id=request_id,
            trace_id=None if knows_no_trace_id else trace_id,
            details=error.details or None,
        )
    )

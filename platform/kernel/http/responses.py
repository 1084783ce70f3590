"""From an exception to the protocol's JSON error."""

import logging
import math
from typing import Final

import psycopg
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated

from kernel.http.correlation import correlation_of
from kernel.http.errors import ProtocolError, error_of_status, render_error, unavailable
from kernel.logs.failures import name_of, where

logger = logging.getLogger("watermaster.http")

_STATUS_OF_EXCEPTION: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...]] = (
    (Http404, 404),
    (PermissionDenied, 403),
    # A kind of SuspiciousOperation, so it stands before it.
    (RequestDataTooBig, 413),
    ((SuspiciousOperation, BadRequest, UnreadablePostError, MultiPartParserError), 400),
    # DRF would answer 403 here where a view has no authenticators.
    ((NotAuthenticated, AuthenticationFailed), 401),
)
# Dead or overloaded servers, but also deadlocks and timeouts: what may pass when it is tried again.
_OUTAGES: Final = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


def protocol_response(error: ProtocolError, request: HttpRequest) -> HttpResponse:
    """`error` as the answer to `request`."""
    correlation = correlation_of(request)
    body = render_error(
        error,
        request_id=correlation.request_id,
        trace_id=correlation.trace_id,
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
    )
    response = HttpResponse(body, status=error.status, content_type="application/json")
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'ApiKey realm="watermaster"'
    return response


def exception_response(exception: Exception, request: HttpRequest) -> HttpResponse:
    """The answer to `request` when `exception` ended it; the unexpected is logged, without its text.

    The text of an exception may hold what the caller sent, so only types and lines of code are written down.
    """
    error = _protocol_error_of(exception)
    if error.status >= 500:
        correlation = correlation_of(request)
        logger.error(
            "%s %s ended in %d, request %s, trace %s: %s",
            request.method,
            request.resolver_match.route if request.resolver_match else "(no route)",
            error.status,
            correlation.request_id,
            correlation.trace_id,
            where(exception) if error.status == 500 else name_of(exception),
        )
    return protocol_response(error, request)


def _protocol_error_of(exception: Exception) -> ProtocolError:
    if isinstance(exception, ProtocolError):
        return exception
    if isinstance(exception, _OUTAGES):
        return unavailable("The database does not answer. Repeat the request with the same idempotency key.")
    for kind, status in _STATUS_OF_EXCEPTION:
        if isinstance(exception, kind):
            return error_of_status(status)
    if isinstance(exception, APIException):
        # Throttled sets it, to seconds or None.
        wait = getattr(exception, "wait", None)
        return error_of_status(exception.status_code, retry_after_s=None if wait is None else math.ceil(wait))
    return error_of_status(500)

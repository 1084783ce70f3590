"""What surrounds every request of the api plane."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from kernel.http.correlation import correlation_of
from kernel.http.errors import error_of_status, invalid_request
from kernel.http.responses import exception_response, protocol_response
from kernel.logs.context import begin_request
from kernel.metrics import responses

# An answer is for one key, is data, and never a page, so a browser has no business with it.
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class ProtocolMiddleware:
    """Gives each request its correlation, each answer its headers, and each failure the protocol's body.

    It is the outermost middleware. Views find `request.correlation`; nothing of a body or a key is logged.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began_ns = responses.now_ns()
        correlation = correlation_of(request)
        begin_request(correlation)
        if _names_one_host(request.META):
            response = self._get_response(request)
        else:
            response = protocol_response(invalid_request("Name one host in the header Host."), request)
        if response.status_code >= 400:
            response = _in_the_protocols_words(response, request)
        headers = response.headers
        headers["X-Request-Id"] = correlation.request_id
        headers["X-Cycles-Trace-Id"] = correlation.trace_id
        for name, value in _HEADERS:
            if name not in headers:
                headers[name] = value
        if isinstance(response, HttpResponse) and "Content-Length" not in headers:
            # Without it the server would send chunks, which cost the client more to read.
            headers["Content-Length"] = str(len(response.content))
        responses.note(response.status_code, began_ns)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase:
        return exception_response(exception, request)


def _names_one_host(headers: Mapping[str, Any]) -> bool:
    """What HTTP/1.1 asks of a request; which host it is does not matter, for the key alone says which tenant.

    The server joins two Host headers with a comma, and gives an empty one where there is none.
    """
    host = headers.get("HTTP_HOST")
    if host:
        return _HOST.fullmatch(host) is not None
    return host is None or headers.get("SERVER_PROTOCOL") == "HTTP/1.0"


def _in_the_protocols_words(response: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    """`response`, or in place of a page (unknown route, 405, failed middleware) the JSON error of its status."""
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    replacement = protocol_response(error_of_status(response.status_code), request)
    for name in ("Allow", "Retry-After"):
        if name in response.headers:
            replacement.headers[name] = response.headers[name]
    response.close()
    return replacement

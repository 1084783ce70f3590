"""What surrounds every request of the api plane."""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from kernel.http.correlation import correlation_of
from kernel.http.errors import error_of_status
from kernel.http.responses import exception_response, protocol_response

# An answer is for one key, is data, and never a page, so a browser has no business with it.
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


class ProtocolMiddleware:
    """Gives each request its correlation, each answer its headers, and each failure the protocol's body.

    It is the outermost middleware. Views find `request.correlation`; nothing of a body or a key is logged.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        correlation = correlation_of(request)
        response = self._get_response(request)
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
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase:
        return exception_response(exception, request)


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

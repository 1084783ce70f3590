"""What surrounds every request of the console for those who watch; the api plane's own middleware does it itself."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from kernel.http.correlation import Correlation, correlation_of
from kernel.logs.context import begin_request, end_request
from kernel.metrics import responses
from kernel.traces.port import Happened, SpanKind, listening, unix_ns


class WatchMiddleware:
    """Outermost: what the others refuse is an answer too. A failure names its request, so that a log can be asked."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began_ns = responses.now_ns()
        correlation = correlation_of(request)
        begin_request(correlation)
        try:
            response = self._get_response(request)
        finally:
            end_request()
        if response.status_code >= 500:
            # Nowhere else: a stranger's answers are the same whatever they ask for, to the last header.
            response.headers.setdefault("X-Request-Id", correlation.request_id)
        responses.note(response.status_code, began_ns)
        if listening.sink is not None:
            listening.sink.add(_happened(request, correlation, began_ns, response.status_code))
        return response


def _happened(request: HttpRequest, correlation: Correlation, began_ns: int, status: int) -> Happened:
    # The address as it was asked for may hold what only its reader may know, such as an invitation.
    route = request.resolver_match.route if request.resolver_match else "(no route)"
    method = request.method or ""
    return Happened(
        name=f"{method} {route}",
        kind=SpanKind.SERVER,
        began_unix_ns=unix_ns(began_ns),
        ended_unix_ns=unix_ns(responses.now_ns()),
        trace_id=correlation.trace_id,
        parent_id=correlation.parent_id,
        is_sampled=correlation.is_sampled,
        is_error=status >= 500,
        attributes={
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "watermaster.request_id": correlation.request_id,
        },
    )

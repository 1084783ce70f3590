"""What surrounds every request of the console for those who watch; the api plane's own middleware does it itself."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from kernel.http.correlation import correlation_of
from kernel.logs.context import begin_request, end_request
from kernel.metrics import responses


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
        return response

"""Counts the answers of a plane whose middleware does not do so itself."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from kernel.metrics import responses


class MetricsMiddleware:
    """Outermost: what the others refuse is an answer too."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began_ns = responses.now_ns()
        response = self._get_response(request)
        responses.note(response.status_code, began_ns)
        return response

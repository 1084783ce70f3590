"""Liveness and readiness, at the addresses that the protocol's clients poll, and metrics."""

import msgspec
from django.http import HttpRequest, HttpResponse

from kernel.http.drf import ProtocolView
from kernel.http.errors import error_of_status
from kernel.lanes import database_answers
from kernel.metrics.http import may_read_metrics, metrics_response


class LivenessView(ProtocolView):
    """The process answers. Says nothing of its servers: a restart would not mend them."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(b'{"status":"UP"}', content_type="application/json")


class ReadinessView(ProtocolView):
    """Whether decisions can be made: PostgreSQL answers."""

    def get(self, request: HttpRequest) -> HttpResponse:
        is_up = database_answers()
        body = msgspec.json.encode({"status": "UP" if is_up else "OUT_OF_SERVICE"})
        response = HttpResponse(body, status=200 if is_up else 503, content_type="application/json")
        if not is_up:
            response.headers["Retry-After"] = "1"
        return response


class MetricsView(ProtocolView):
    """What the api's processes on this machine have counted, for Prometheus."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if not may_read_metrics(request.META):
            raise error_of_status(404)
        return metrics_response()

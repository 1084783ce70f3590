"""Liveness and readiness, at the addresses that the protocol's clients poll."""

import msgspec
from django.http import HttpRequest, HttpResponse

from kernel.http.drf import ProtocolView
from kernel.lanes import database_answers


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

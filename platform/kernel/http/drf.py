"""DRF without what the hot path does not need: a strict struct in, bytes out.

class Reservations(ProtocolView):
    def post(self, request: HttpRequest) -> HttpResponse:
        reserve = decode(request, ReserveRequest)
"""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from rest_framework.views import APIView

from kernel.http import json_body
from kernel.http.responses import exception_response


def decode[T: msgspec.Struct](request: HttpRequest, struct: type[T]) -> T:
    """The body of `request` as a `struct`, or a ProtocolError (400, 411, 413, 415)."""
    return json_body.decode(json_body.read_json_body(request), struct)


class ProtocolView(APIView):
    """A view of the runtime plane. It checks nobody: the SQL call that does the work checks the key.

    DRF's own request, negotiation, authentication and throttling are passed by: they took a third of a request's time
    here and
    have nothing to decide, since the plane speaks JSON alone and the books judge the key.
    """

    authentication_classes = ()
    permission_classes = ()
    # No OPTIONS: DRF's answer describes the code, and no browser calls from elsewhere.
    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        method = (request.method or "").lower()
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None:
            return HttpResponseNotAllowed([name.upper() for name in self.http_method_names if hasattr(self, name)])
        try:
            answer: HttpResponseBase = handler(request, *args, **kwargs)
        except Exception as exception:  # noqa: BLE001  every failure has the protocol's form
            answer = exception_response(exception, request)
        return answer

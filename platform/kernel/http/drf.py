"""DRF without its serializers, for the hot path: a strict struct in, bytes out.

class Reservations(ProtocolView):
    def post(self, request: Request) -> Response:
        reserve = decode(request, ReserveRequest)
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from django.http import HttpResponse
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView, set_rollback

from kernel.http import json_body
from kernel.http.responses import exception_response

_ENCODER: Final = msgspec.json.Encoder()


def decode[T: msgspec.Struct](request: Request, struct: type[T]) -> T:
    """The body of `request` as a `struct`, or a ProtocolError (400, 411, 413, 415)."""
    # Not by a DRF parser: choosing one would cost more than the parsing.
    return json_body.decode(json_body.read_json_body(request._request), struct)


class JsonRenderer(BaseRenderer):
    """Structs, dicts and lists as JSON; bytes are JSON already and pass as they are."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if isinstance(data, bytes):
            return data
        return b"" if data is None else _ENCODER.encode(data)


class JsonOnly(DefaultContentNegotiation):
    """The plane speaks JSON whatever the header Accept asks for; the clients are programs."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return next(iter(renderers)), JsonRenderer.media_type


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's EXCEPTION_HANDLER: every exception becomes the protocol's JSON error."""
    set_rollback()
    return exception_response(exception, context["request"]._request)


class ProtocolView(APIView):
    """A view of the runtime plane. It checks nobody: the SQL call that does the work checks the key."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    # `decode` reads bodies; DRF's own way to them (`request.data`) is shut.
    parser_classes = ()
    renderer_classes = (JsonRenderer,)
    content_negotiation_class = JsonOnly
    # No OPTIONS: DRF's answer describes the code, and no browser calls from elsewhere.
    http_method_names = ["get", "head", "post"]

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], HttpResponse]:
        return exception_handler

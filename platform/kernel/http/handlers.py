"""handler400, handler403, handler404 and handler500 of the api plane, for what no view has answered."""

from django.http import HttpRequest, HttpResponse

from kernel.http.errors import error_of_status
from kernel.http.responses import protocol_response


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return protocol_response(error_of_status(400), request)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return protocol_response(error_of_status(403), request)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return protocol_response(error_of_status(404), request)


def server_error(request: HttpRequest) -> HttpResponse:
    return protocol_response(error_of_status(500), request)

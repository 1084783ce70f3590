"""What a person sees when a page fails."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

RETRY_AFTER_S = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: 503 where PostgreSQL is away or overloaded, else 500.

    Rendered without the request: who is signed in cannot be asked either.
    """
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return HttpResponse(render_to_string("500.html"), status=500)

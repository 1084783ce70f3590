"""A Django view that only reads the body and answers: what the stack can do on this machine without any work of ours.

Served by granian with the settings of the api process. The answers are those that the api gave to a reserve and to a
question about tools, byte for byte.
"""

import os
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bench.traffic import BARE_ANSWER_VARIABLE, BARE_TOOLS_VARIABLE

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={},
        INSTALLED_APPS=[],
        MIDDLEWARE=[],
        ROOT_URLCONF="bench.bare",
        SECRET_KEY="of no use here",
        USE_I18N=False,
    )


def _answer_in(variable: str) -> bytes:
    file = os.environ.get(variable)
    return Path(file).read_bytes() if file else b"{}"


_RESERVED = _answer_in(BARE_ANSWER_VARIABLE)
_TOOLS = _answer_in(BARE_TOOLS_VARIABLE)


def reserve(request: HttpRequest) -> HttpResponse:
    return _answer(request, _RESERVED)


def tools(request: HttpRequest) -> HttpResponse:
    return _answer(request, _TOOLS)


def _answer(request: HttpRequest, answer: bytes) -> HttpResponse:
    # Reading it is part of the work: the server hands it over when asked.
    _body = request.body
    response = HttpResponse(answer, content_type="application/json")
    response.headers["Content-Length"] = str(len(answer))
    return response


urlpatterns = [
    path("v1/reservations", reserve),
    path("v1/x-watermaster/tools", tools),
    path("healthz", reserve),
]
application = get_wsgi_application()

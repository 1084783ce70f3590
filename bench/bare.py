"""A Django view that only reads the body and answers: what the stack can do on this machine without any work of ours.

Served by granian with the settings of the api process. The answer is one that the api gave to a reserve, byte for byte.
"""

import os
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bench.traffic import BARE_ANSWER_VARIABLE

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

_answer_file = os.environ.get(BARE_ANSWER_VARIABLE)
_ANSWER = Path(_answer_file).read_bytes() if _answer_file else b"{}"


def answer(request: HttpRequest) -> HttpResponse:
    # Reading it is part of the work: the server hands it over when asked.
    _body = request.body
    response = HttpResponse(_ANSWER, content_type="application/json")
    response.headers["Content-Length"] = str(len(_ANSWER))
    return response


urlpatterns = [path("v1/reservations", answer), path("healthz", answer)]
application = get_wsgi_application()

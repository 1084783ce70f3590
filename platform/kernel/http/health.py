"""Whether the console process lives and whether it can work. Open to everybody, and telling nothing else."""

from django.db import Error, connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from kernel.tenancy import CELL


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as requests are answered at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if the database answers, else 503: send requests elsewhere for now."""
    try:
        with connections[CELL].cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return HttpResponse("database: away\n", status=503, content_type="text/plain", headers={"Retry-After": "1"})
    return HttpResponse("ok\n", content_type="text/plain")

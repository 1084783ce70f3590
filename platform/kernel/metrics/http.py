"""Who may read `/metrics`: the machine itself, or whoever has the token. To others nothing is there."""

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST

from kernel.metrics.exposition import rendered
from kernel.metrics.tally import Numbers, Series

# A proxy on the same machine comes from loopback too, and it sets one of these.
_FORWARDED: Final = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")
_BEARER: Final = "Bearer "


def may_read_metrics(headers: Mapping[str, Any]) -> bool:
    """Whether a request with these WSGI headers may.

    With `METRICS_TOKEN` set: whoever bears it. Without: callers on this machine that no proxy stands before.
    """
    token: str = settings.METRICS_TOKEN
    if token:
        said = str(headers.get("HTTP_AUTHORIZATION", ""))
        return said.startswith(_BEARER) and hmac.compare_digest(said.removeprefix(_BEARER).encode(), token.encode())
    return _is_loopback(headers) and not any(name in headers for name in _FORWARDED)


def metrics_response(*more: Mapping[Series, Numbers]) -> HttpResponse:
    """This component's metrics, and what else is given."""
    response = HttpResponse(rendered(*more), content_type=CONTENT_TYPE_LATEST)
    response.headers["Cache-Control"] = "no-store"
    return response


def _is_loopback(headers: Mapping[str, Any]) -> bool:
    try:
        return ipaddress.ip_address(headers.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False

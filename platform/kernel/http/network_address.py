"""From where on the network a request comes, as far as that can be known."""

from django.conf import settings
from django.http import HttpRequest


def network_address(request: HttpRequest) -> str:
    """The peer, or behind our TLS proxy the address that the proxy saw.

    The proxy appends to X-Forwarded-For, so only the last entry is its own word; the ones before are the caller's.
    """
    if settings.IS_BEHIND_TLS:
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if forwarded:
            return forwarded
    return str(request.META.get("REMOTE_ADDR", ""))

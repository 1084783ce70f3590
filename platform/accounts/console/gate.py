"""The gate before the operators' pages, the same for an address under `/ops/` that leads nowhere."""

import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from accounts.models import User

SIGNED_IN_AT: Final = "signed_in_at"
SEEN_AT: Final = "seen_at"
_SEEN_EVERY_S: Final = 60


class OperatorGate:
    """Signed out: to the sign-in, and back. Signed in as somebody else: 404, as for an address that leads nowhere.

    By prefix and not by view, so that a view that forgets to ask is closed.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_guarded(request.path_info):
            return self.get_response(request)
        if request.user.is_authenticated and not _is_session_alive(request):
            logout(request)
        user = request.user
        if not isinstance(user, User):
            response = _to_sign_in(request)
        elif not user.is_operator:
            raise Http404
        else:
            response = self.get_response(request)
        patch_cache_control(response, private=True, no_store=True)
        return response


def is_guarded(path: str) -> bool:
    return path == "/ops" or path.startswith("/ops/")


def start_session_clock(request: HttpRequest) -> None:
    """To be called at sign-in: from now on the session ages."""
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = int(time.time())


def _is_session_alive(request: HttpRequest) -> bool:
    now = int(time.time())
    session = request.session
    signed_in_at, seen_at = session.get(SIGNED_IN_AT, 0), session.get(SEEN_AT, 0)
    if now - signed_in_at > settings.SESSION_COOKIE_AGE or now - seen_at > settings.SESSION_IDLE_SECONDS:
        return False
    if now - seen_at > _SEEN_EVERY_S:
        # Once a minute is exact enough, and spares most requests a write.
        session[SEEN_AT] = now
    return True


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by its middleware
    if htmx:
        # A fragment cannot hold the sign-in: the whole page goes there, and comes back to where it stood.
        return HttpResponseClientRedirect(redirect_to_login(htmx.current_url_abs_path or reverse("ops:overview")).url)
    return redirect_to_login(request.get_full_path())

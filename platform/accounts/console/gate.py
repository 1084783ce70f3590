"""How long a session lives, and the way to the sign-in."""

import time
from typing import Final

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from accounts.models import User

SIGNED_IN_AT: Final = "signed_in_at"
SEEN_AT: Final = "seen_at"
_SEEN_EVERY_S: Final = 60


def signed_in_user(request: HttpRequest) -> User | None:
    """Who is signed in; nobody, from now on, with a session that is too old or was not used for too long."""
    if request.user.is_authenticated and not _is_session_alive(request):
        request.ended_session_of = str(request.user.pk)  # type: ignore[attr-defined]  # read by `whose_session_ended`
        logout(request)
    user = request.user
    return user if isinstance(user, User) else None


def whose_session_ended(request: HttpRequest) -> str:
    """The id of whom this request has signed out, because their session was dead; empty where it was nobody's."""
    return str(getattr(request, "ended_session_of", ""))


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


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in, and back to where they stood."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by its middleware
    if htmx:
        # A fragment cannot hold the sign-in: the whole page goes there, and comes back to where it stood.
        return HttpResponseClientRedirect(redirect_to_login(htmx.current_url_abs_path or reverse("home")).url)
    return redirect_to_login(request.get_full_path())

"""Light, dark, or as the reader's device has it: kept in a cookie, and said on the page's root element."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

THEMES: Final = ("auto", "light", "dark")
_A_YEAR_S: Final = 365 * 86_400


def theme(request: HttpRequest) -> dict[str, object]:
    """Context of every page: what was chosen, `auto` where nothing or nonsense was."""
    chosen = request.COOKIES.get(settings.THEME_COOKIE_NAME, "")
    return {"theme": chosen if chosen in THEMES else "auto", "themes": THEMES}


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keeps the choice, and leads back to where the reader was, on this host."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = redirect(back)
    response.status_code = 303
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            settings.THEME_COOKIE_NAME,
            chosen,
            max_age=_A_YEAR_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response

"""The way to setting up a second factor, and from there back to where somebody wanted to go."""

from typing import Final

from allauth.mfa.base.views import IndexView
from allauth.mfa.signals import authenticator_removed
from django.contrib.auth.decorators import login_required
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from accounts.services.second_factor import has_second_factor, must_set_up_second_factor, needs_second_factor

_WANTED: Final = "wanted_address"
SECOND_FACTOR_KNOWN: Final = "has_second_factor"


def lacks_second_factor(request: HttpRequest, user: User) -> bool:
    """Whether this operator has none. A session remembers that there is one: asked by every page, found once."""
    if not user.is_operator or request.session.get(SECOND_FACTOR_KNOWN):
        return False
    if has_second_factor(user):
        request.session[SECOND_FACTOR_KNOWN] = True
        return False
    return True


@receiver(authenticator_removed)
def _forget(request: HttpRequest, **_: object) -> None:
    request.session.pop(SECOND_FACTOR_KNOWN, None)


def to_second_factor(request: HttpRequest) -> HttpResponse:
    """What the gate answers an operator without a second factor."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by its middleware
    if htmx:
        request.session[_WANTED] = htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(redirect("mfa_index").url)
    if request.method == "GET":
        request.session[_WANTED] = request.get_full_path()
    return redirect("mfa_index")


class SecondFactors(IndexView):
    """What somebody has besides their password."""

    def get_context_data(self, **more: object) -> dict[str, object]:
        facts = {
            "must_set_up": must_set_up_second_factor(self.request.user),
            "should_set_up": needs_second_factor(self.request.user),
            "is_wanted_elsewhere": _WANTED in self.request.session,
        }
        known: dict[str, object] = super().get_context_data(**more)
        return known | facts


@require_GET
@login_required
def go_on(request: HttpRequest) -> HttpResponse:
    """To the page from which somebody was led here, else to where they belong."""
    return redirect(request.session.pop(_WANTED, None) or "home")

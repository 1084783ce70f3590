"""The page about oneself, and the age of its session."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from accounts.console.gate import signed_in_user
from accounts.models import User
from accounts.selectors.memberships import memberships_of
from accounts.services.second_factor import has_second_factor, needs_second_factor

_ACCOUNTS = "/accounts/"


class AccountGate:
    """Sessions end here as they do before the console, and no cache keeps these pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(_ACCOUNTS):
            return self.get_response(request)
        # Ends a dead one.
        signed_in_user(request)
        response = self.get_response(request)
        patch_cache_control(response, private=True, no_store=True)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Codes are counted in Valkey, so that none is guessed or used twice. Without it there is no second step."""
        if request.path_info.startswith(_ACCOUNTS) and isinstance(exception, RedisError):
            return render(request, "503.html", status=503)
        return None


@require_GET
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Password, second factor, sessions."""
    user = request.user
    assert isinstance(user, User)  # nobody else signs in
    facts = {
        "has_second_factor": has_second_factor(user),
        "should_set_up": needs_second_factor(user),
        "has_password": user.has_usable_password(),
        "memberships": memberships_of(user),
    }
    return render(request, "accounts/account.html", facts)

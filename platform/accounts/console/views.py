"""Signing in."""

from datetime import UTC, datetime
from math import ceil
from typing import Any

from allauth.account.views import LoginView
from allauth.mfa.base.views import AuthenticateView
from allauth.socialaccount.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables

from accounts.console.forms import SignInForm
from accounts.models.user import normal_email
from accounts.services.sign_in_attempts import begin_attempt, forget_attempts
from kernel.http.network_address import network_address


class SignIn(LoginView):
    """The first step of signing in; `next` is followed on this host only. Whoever has a second factor is asked next."""

    template_name = "accounts/sign_in.html"
    form_class = SignInForm

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Counted before the form is looked at: an Argon2 hash is what an attacker would like us to spend.
        attempt = begin_attempt(
            email=normal_email(request.POST.get("login", ""))[:254],
            network_address=network_address(request),
            now=datetime.now(UTC),
        )
        if not attempt.is_allowed:
            return self._refuse(attempt.retry_after_s)
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        asked = self.request.GET.get("next") or self.request.POST.get("next")
        more["identity_providers"] = [
            {"name": each.name, "address": each.get_login_url(self.request, **({"next": asked} if asked else {}))}
            for each in get_adapter(self.request).list_providers(self.request)
        ]
        more["sends_mail"] = settings.SENDS_MAIL
        facts: dict[str, Any] = super().get_context_data(**more)
        return facts

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        forget_attempts(
            email=form.cleaned_data["login"], network_address=network_address(self.request), now=datetime.now(UTC)
        )
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response

    def _refuse(self, retry_after_s: int) -> HttpResponse:
        form = SignInForm(request=self.request, initial={"login": self.request.POST.get("login", "")})
        refusal = too_many(retry_after_s)
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form, refusal=refusal))
        response.status_code = 429
        response.headers["Retry-After"] = str(retry_after_s)
        return response


def too_many(retry_after_s: int) -> str:
    """What somebody reads whose attempt was not looked at."""
    minutes = ceil(retry_after_s / 60)
    return f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."


class SecondStep(AuthenticateView):
    """The second step: a code, a recovery code or a passkey."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response

"""Signing in and out."""

from datetime import UTC, datetime
from math import ceil
from typing import Any

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables

from accounts.console.forms import SignInForm
from accounts.console.gate import start_session_clock
from accounts.models.user import normal_email
from accounts.services.sign_in_attempts import begin_attempt, forget_attempts
from kernel.http.network_address import network_address


class SignIn(LoginView):
    """Password sign-in; `next` is followed on this host only."""

    template_name = "accounts/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Counted before the form is looked at: an Argon2 hash is what an attacker would like us to spend.
        attempt = begin_attempt(
            email=normal_email(request.POST.get("username", ""))[:254],
            network_address=network_address(request),
            now=datetime.now(UTC),
        )
        if not attempt.is_allowed:
            return self._refuse(attempt.retry_after_s)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        start_session_clock(self.request)
        forget_attempts(
            email=form.cleaned_data["username"], network_address=network_address(self.request), now=datetime.now(UTC)
        )
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response

    def _refuse(self, retry_after_s: int) -> HttpResponse:
        form = SignInForm(self.request, initial={"username": self.request.POST.get("username", "")})
        minutes = ceil(retry_after_s / 60)
        refusal = f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
        response = self.render_to_response(self.get_context_data(form=form, refusal=refusal))
        response.status_code = 429
        response.headers["Retry-After"] = str(retry_after_s)
        return response

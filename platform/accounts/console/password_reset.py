"""The pages for somebody who forgot their password: asking for a mail, and choosing a new password by its link."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final

from allauth.account.adapter import get_adapter
from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from accounts.console.views import too_many
from accounts.models.user import normal_email
from accounts.services.operators import WeakPassword
from accounts.services.password_reset import ResetOver, person_of, reset_password
from accounts.services.password_reset_mail import mail_reset_soon
from accounts.services.sign_in_attempts import begin_attempt
from kernel.http.network_address import network_address
from kernel.sealing import seal, unseal

type View = Callable[..., HttpResponse]

_LINK: Final = "password_reset_link"


class AskForm(forms.Form):
    """Whose password is forgotten."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )

    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])


class ChooseForm(forms.Form):
    """The new password, twice: there is none before it to fall back on."""

    password = forms.CharField(
        label="New password, 12 characters at least",
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True}),
    )
    again = forms.CharField(
        label="New password again",
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if {"password", "again"} <= given.keys() and given["password"] != given["again"]:
            self.add_error("again", "These two are not the same.")
        return given


def _where_mail_is_sent(view: View) -> View:
    """Without a mail server these pages do not exist."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.SENDS_MAIL:
            raise Http404
        return view(request, *args, **kwargs)

    return answered


@_where_mail_is_sent
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """A form for an address. The answer is one and the same, whoever has it."""
    if request.method != "POST":
        return render(request, "account/password_reset.html", {"form": AskForm()})
    attempt = begin_attempt(
        email=normal_email(request.POST.get("email", ""))[:254],
        network_address=network_address(request),
        now=datetime.now(UTC),
        kind="password-reset",
    )
    form = AskForm(request.POST)
    if not attempt.is_allowed:
        facts = {"form": AskForm(initial=request.POST.dict()), "refusal": too_many(attempt.retry_after_s)}
        response = render(request, "account/password_reset.html", facts, status=429)
        response.headers["Retry-After"] = str(attempt.retry_after_s)
        return response
    if not form.is_valid():
        return render(request, "account/password_reset.html", {"form": form}, status=422)
    mail_reset_soon(email=form.cleaned_data["email"], now=datetime.now(UTC))
    return _see_other("account_reset_password_done")


@_where_mail_is_sent
@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    """What happens now."""
    return render(request, "account/password_reset_done.html", {"minutes": settings.PASSWORD_RESET_TIMEOUT // 60})


@_where_mail_is_sent
@require_safe
@sensitive_variables()
def follow(request: HttpRequest, token: str) -> HttpResponse:
    """The link of the mail. It only leads on to an address without the token, and uses nothing up."""
    if person_of(token) is None:
        # Nothing is kept of what strangers make up: each would be a session.
        request.session.pop(_LINK, None)
    else:
        # Sealed: whoever reads the table of sessions must not read the link.
        request.session[_LINK] = seal(token, purpose=_LINK)
    response = _see_other("choose_password")
    # Here alone: from a page that says so a browser sends forms as if another site had (`Origin: null`).
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@_where_mail_is_sent
@sensitive_post_parameters()
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """A form for the new password. Signing in with it comes after, second factor included."""
    token = unseal(request.session.get(_LINK, ""), purpose=_LINK) or ""
    user = person_of(token)
    if user is None:
        return render(request, "account/password_reset_over.html", status=404)
    form = ChooseForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            reset_password(
                token=token,
                password=form.cleaned_data["password"],
                source_ip=network_address(request),
                now=datetime.now(UTC),
            )
        except WeakPassword as error:
            form.add_error("password", str(error))
        except ResetOver:
            return render(request, "account/password_reset_over.html", status=404)
        else:
            # Whoever was signed in here, and the link, are forgotten with the session.
            get_adapter(request).logout(request)
            messages.success(request, "Your password is changed. Sign in with it.")
            return _see_other("accounts:sign_in")
    facts = {"form": form, "email": user.email}
    return render(request, "account/password_reset_choose.html", facts, status=422 if form.is_bound else 200)


def _see_other(name: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": reverse(name)})

"""The page behind an invitation's link."""

from datetime import UTC, datetime

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.models import Invitation, User
from accounts.selectors.people import is_known
from accounts.services.invitations import (
    InvitationOver,
    NotYours,
    accept_as_known,
    accept_as_new,
    invitation_of,
)
from accounts.services.operators import EmailTaken, WeakPassword


class NewPasswordForm(forms.Form):
    """The password of somebody new."""

    password = forms.CharField(
        label="Choose a password",
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Somebody new chooses a password; somebody known joins, once signed in under the invited address."""
    found = invitation_of(token, now=datetime.now(UTC))
    if found is None:
        return _over(request)
    user = request.user
    if not isinstance(user, User):
        if not is_known(found.email):
            return _join_as_new(request, found, token)
        return _show(request, found, sign_in=f"{reverse('accounts:sign_in')}?next={request.path}")
    if request.method == "POST" and user.email == found.email:
        return _join_as_known(request, found, user, token)
    return _show(request, found, is_for_another=user.email != found.email)


def _join_as_known(request: HttpRequest, found: Invitation, user: User, token: str) -> HttpResponse:
    try:
        accept_as_known(token=token, user=user, now=datetime.now(UTC))
    except (InvitationOver, NotYours):
        return _over(request)
    messages.success(request, f"You have joined {found.place_name}.")
    return redirect("home")


def _join_as_new(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    form = NewPasswordForm(request.POST or None)
    if request.method != "POST":
        return _show(request, found, form=form)
    if form.is_valid():
        try:
            user = accept_as_new(token=token, password=form.cleaned_data["password"], now=datetime.now(UTC))
        except WeakPassword as error:
            form.add_error("password", str(error))
        except (InvitationOver, EmailTaken):
            return _over(request)
        else:
            credentials = {"email": user.email}
            response: HttpResponse = perform_password_login(request, credentials, Login(user=user, email=user.email))
            return response
    return _show(request, found, form=form, status=422)


def _show(request: HttpRequest, found: Invitation, *, status: int = 200, **more: object) -> HttpResponse:
    return render(request, "accounts/invitation.html", {"invitation": found, **more}, status=status)


def _over(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/invitation_over.html", status=404)

"""Asking again who somebody is: before what cannot be undone, and without losing what they typed.

A form that comes too late is kept in the session and offered again, to be sent with one press.
"""

import secrets
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRedirect

from accounts.console.gate import to_sign_in, whose_session_ended

type View = Callable[..., HttpResponseBase]

_KEPT: Final = "kept_forms"
_KEPT_FOR_S: Final = 30 * 60
_KEPT_AT_MOST: Final = 3
_FIELDS_AT_MOST: Final = 200
_LENGTH_AT_MOST: Final = 32_768
#: Nothing to keep: the token belongs to the page that was sent, and passwords are typed again.
_LEFT_OUT: Final = frozenset({"csrfmiddlewaretoken", "password", "password1", "password2", "oldpassword"})


def reauthenticated(view: View) -> View:
    """A form that cannot be undone is taken from those alone who proved in the last five minutes who they are."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or _has_proved_lately(request):
            return view(request, *args, **kwargs)
        if not get_reauthentication_flows(request.user):
            # Somebody whom only their provider knows: there they prove it.
            who = str(request.user.pk)
            logout(request)
            return _lead_to(request, reverse("accounts:sign_in"), keep_post(request, who=who))
        return _lead_to(request, reverse("account_reauthenticate"), keep_post(request, who=str(request.user.pk)))

    return asked


def keep_post(request: HttpRequest, *, who: str = "") -> str:
    """Keep the form that was sent; the address of the page that offers it again, to the same person alone.

    `who` is the id of that person; without one, which a session that is gone does not tell any more, it is offered to
    whoever signs in next in this browser. To be called
    after the sign-out of a dead session, which empties it. A form that is too long is not kept.
    """
    fields = [(name, value) for name, values in request.POST.lists() if name not in _LEFT_OUT for value in values]
    if len(fields) > _FIELDS_AT_MOST or sum(len(name) + len(value) for name, value in fields) > _LENGTH_AT_MOST:
        return request.get_full_path()
    ticket = secrets.token_urlsafe(12)
    kept = {
        name: form for name, form in request.session.get(_KEPT, {}).items() if time.time() - form["at"] < _KEPT_FOR_S
    }
    newest = sorted(kept, key=lambda name: kept[name]["at"])[-(_KEPT_AT_MOST - 1) :]
    request.session[_KEPT] = {name: kept[name] for name in newest} | {
        ticket: {
            "path": request.get_full_path(),
            "fields": fields,
            "at": int(time.time()),
            "who": who,
        }
    }
    return reverse("accounts:kept_form", args=[ticket])


@require_GET
@login_required
def kept_form(request: HttpRequest, ticket: str) -> HttpResponse:
    """Offers a form again that was sent without a live session, or without a fresh proof of who sends it."""
    form = request.session.get(_KEPT, {}).get(ticket)
    if form is None or time.time() - form["at"] > _KEPT_FOR_S or form["who"] not in {"", str(request.user.pk)}:
        raise Http404
    shown = [(name, value) for name, value in form["fields"] if value and not name.startswith("_")]
    response = render(
        request, "accounts/kept_form.html", {"path": form["path"], "fields": form["fields"], "shown": shown}
    )
    patch_cache_control(response, private=True, no_store=True)
    return response


def to_sign_in_keeping_form(request: HttpRequest) -> HttpResponse:
    """What the gate answers somebody whose session has ended: a form that they sent meanwhile is not lost."""
    # Only what our own pages sent: nothing has checked the form's token yet.
    if request.method != "POST" or request.headers.get("Origin") != f"{request.scheme}://{request.get_host()}":
        return to_sign_in(request)
    return _lead_to(request, reverse("accounts:sign_in"), keep_post(request, who=whose_session_ended(request)))


def _lead_to(request: HttpRequest, address: str, then: str) -> HttpResponse:
    target = f"{address}?{urlencode({'next': then}, safe='/')}"
    return HttpResponseClientRedirect(target) if getattr(request, "htmx", False) else redirect(target)


def _has_proved_lately(request: HttpRequest) -> bool:
    records = get_authentication_records(request, request.user)
    proofs = [record["at"] for record in records if record.get("reauthenticated")]
    return bool(proofs) and time.time() - proofs[-1] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT

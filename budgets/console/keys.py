"""`keys/`: the tenant's API keys. A secret is on the one page that answers its making, and nowhere else."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_variables

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.console.reauth import reauthenticated
from accounts.keys.selectors.key_lines import key_lines
from accounts.keys.selectors.keys import key_by_id
from accounts.keys.services.keys import (
    IssuedKey,
    KeyIsRevoked,
    create_key,
    revoke_every_key,
    revoke_key,
    rotate_key,
)
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.key_forms import NewKeyForm, RevokeAllForm, RevokeForm, RotateForm, may_hand_out
from budgets.console.key_rows import key_rows
from budgets.console.stopping import BUSY
from budgets.services.guards import TenantIsClosed, books_held, require_tenant_not_closed
from kernel.tenancy import in_tenant

if TYPE_CHECKING:
    from accounts.keys.models import ApiKey

_KEYS_SHOWN: Final = 500
_CLOSED: Final = "The tenant is closed: it gets no keys any more."


@page(Act.SEE_KEYS)
def key_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    now = datetime.now(UTC)
    with in_tenant(place.tenant.tag):
        lines = key_lines(limit=_KEYS_SHOWN + 1)
    context = _context(place) | {
        "rows": key_rows(lines[:_KEYS_SHOWN], may=place.may, now=now),
        "is_cut": len(lines) > _KEYS_SHOWN,
        "has_active": any(line.revoked_at is None for line in lines),
    }
    return render(request, "budgets/key_list.html", context)


@page(Act.EDIT_KEYS, send=Act.EDIT_KEYS)
@sensitive_variables("issued", "form")
def key_new(request: HttpRequest, slug: str) -> HttpResponse:
    """The form; sent, the page with the secret, once. Sent again it makes another key."""
    place = place_of(request)
    now = datetime.now(UTC)
    form = NewKeyForm(request.POST if request.method == "POST" else None, slug=place.tenant.slug, may=place.may)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            with in_tenant(place.tenant.tag), books_held():
                require_tenant_not_closed()
                issued = create_key(
                    tag=place.tenant.tag,
                    name=values["name"],
                    permissions=values["permissions"],
                    scope_filter=values["scopes"],
                    expires_at=now + timedelta(days=int(values["days"])) if values["days"] else None,
                    actor=place.actor(values["reason"]),
                    now=now,
                )
        except TenantIsClosed:
            form.add_error(None, _CLOSED)
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            return _secret(request, place, issued, "Key created")
    return _act_page(
        request,
        place,
        form,
        {
            "title": "New API key",
            "words": "The key's secret is shown once, on the page that follows.",
            "button": "Create the key",
        },
    )


@page(Act.EDIT_KEYS, send=Act.EDIT_KEYS)
@sensitive_variables("issued")
def key_rotate(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    place = place_of(request)
    key = _key(place, key_id)
    form = RotateForm(request.POST if request.method == "POST" else None)
    # Whoever gets the new secret has the key's rights.
    is_beyond = not all(may_hand_out(permission, place.may) for permission in key.permissions)
    if request.method == "POST" and form.is_valid() and is_beyond:
        form.add_error(None, "This key may do more than you: ask whoever runs the platform to rotate it.")
    elif request.method == "POST" and form.is_valid():
        overlap = timedelta(hours=int(form.cleaned_data["overlap"]))
        try:
            with in_tenant(place.tenant.tag), books_held():
                require_tenant_not_closed()
                issued = rotate_key(
                    tag=place.tenant.tag,
                    key_id=key_id,
                    overlap=overlap,
                    actor=place.actor(form.cleaned_data["reason"]),
                    now=datetime.now(UTC),
                )
        except TenantIsClosed:
            form.add_error(None, _CLOSED)
        except OperationalError:
            form.add_error(None, BUSY)
        except KeyIsRevoked:
            form.add_error(None, "This key was revoked meanwhile, and stays so. Create another one.")
        else:
            return _secret(request, place, issued, "Key rotated")
    words = "The key gets another secret, which is shown once. The one before works as long as you say here."
    return _act_page(request, place, form, {"title": f"Rotate {key_id}", "words": words, "button": "Rotate the key"})


@page(Act.EDIT_KEYS, send=Act.EDIT_KEYS)
def key_revoke(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """Safe to repeat."""
    place = place_of(request)
    _key(place, key_id)
    form = RevokeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        actor = place.actor(form.cleaned_data["reason"])
        with in_tenant(place.tenant.tag):
            revoke_key(key_id=key_id, actor=actor, now=datetime.now(UTC))
        messages.success(request, f"The key {key_id} is revoked: whoever uses it is refused from now on.")
        return redirect(place.url("key_list"))
    words = "Whoever uses this key is refused from the next call on. A revoked key stays revoked."
    context = {"title": f"Revoke {key_id}", "words": words, "button": "Revoke the key", "is_stop": True}
    return _act_page(request, place, form, context)


@page(Act.REVOKE_ALL_KEYS, send=Act.REVOKE_ALL_KEYS)
@reauthenticated
def key_revoke_all(request: HttpRequest, slug: str) -> HttpResponse:
    """Only once the tenant's slug was typed, by somebody who has just proved who they are: nothing takes this back."""
    place = place_of(request)
    form = RevokeAllForm(request.POST if request.method == "POST" else None, slug=place.tenant.slug)
    if request.method == "POST" and form.is_valid():
        actor = place.actor(form.cleaned_data["reason"])
        with in_tenant(place.tenant.tag):
            count = revoke_every_key(actor=actor, now=datetime.now(UTC))
        messages.success(request, f"{count} key{'' if count == 1 else 's'} revoked. No call of this tenant is let in.")
        return redirect(place.url("key_list"))
    context = {
        "title": "Revoke all keys",
        "words": "Every call of this tenant is refused from now on, until new keys are made. Nothing takes this back.",
        "button": "Revoke all keys",
        "is_stop": True,
    }
    return _act_page(request, place, form, context)


def _secret(request: HttpRequest, place: Place, issued: IssuedKey, title: str) -> HttpResponse:
    context = _context(place) | {
        "title": title,
        "key": issued.key,
        "token": issued.token,
        "reserve": first_steps.reserve(place.tenant.slug),
        "back": place.url("key_list"),
    }
    return render(request, "budgets/key_secret.html", context)


def _act_page(request: HttpRequest, place: Place, form: forms.Form, context: dict[str, Any]) -> HttpResponse:
    shared = _context(place) | {"form": form, "back": place.url("key_list")}
    return render(request, "act_page.html", shared | context, status=422 if form.is_bound and form.errors else 200)


def _context(place: Place) -> dict[str, Any]:
    return {
        "section": "keys" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }


def _key(place: Place, key_id: str) -> "ApiKey":
    with in_tenant(place.tenant.tag):
        key = key_by_id(key_id) if "\0" not in key_id else None
    if key is None:
        raise Http404
    return key

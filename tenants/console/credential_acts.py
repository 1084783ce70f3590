"""What is done with a tenant's credential references: added, rotated, revoked. Each by a form with a reason."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from kernel.tenancy import in_tenant
from tenants.console.credential_forms import NewReferenceForm, ReasonForm, RotateForm, typed_with
from tenants.selectors.directory import TenantStatus
from tenants.services.standing import look_soon
from vault.kinds import MEMBER_BACK_ENDS, OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.selectors.references import ReferenceLine, reference_by_id
from vault.services.reference_checks import InvalidReference, NewReference
from vault.services.references import (
    BackEndRefused,
    ReferenceChanged,
    ReferenceIsRevoked,
    add_reference,
    revoke_reference,
    rotate_reference,
)


@page(Act.EDIT_CREDENTIALS, send=Act.EDIT_CREDENTIALS)
def credential_new(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    allowed = _allowed(place)
    form = NewReferenceForm(_sent(request), allowed=allowed, time_zone=place.tenant.time_zone)
    if request.method == "POST" and form.is_valid():
        if place.tenant.status == TenantStatus.CLOSED:
            form.add_error(None, "The tenant is closed: it gets no references any more.")
        elif answer := _add(request, place, form, allowed):
            return answer
    context = {
        "title": "New credential reference",
        "words": "It says where a secret lives. The secret itself stays there, and is never written here.",
        "button": "Add the reference",
    }
    return _act_page(request, place, form, context)


@page(Act.EDIT_CREDENTIALS, send=Act.EDIT_CREDENTIALS)
def credential_rotate(request: HttpRequest, slug: str, reference_id: UUID) -> HttpResponse:
    place = place_of(request)
    reference = _reference(place, reference_id)
    initial = {"path": reference.path, "key": reference.key, "version": reference.version, "seen": _seen(reference)}
    form = RotateForm(_sent(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with in_tenant(place.tenant.tag):
                rotate_reference(
                    reference_id=reference_id,
                    to=form.location,
                    allowed=_allowed(place),
                    seen=_read_seen(form.cleaned_data["seen"]),
                    overlap=timedelta(hours=int(form.cleaned_data["overlap"])),
                    actor=place.actor(form.cleaned_data["reason"]),
                    now=datetime.now(UTC),
                )
        except InvalidReference as refusal:
            _refuse(form, refusal)
        except ReferenceIsRevoked:
            form.add_error(None, "This reference was revoked meanwhile, and stays so. Add another one.")
        except BackEndRefused:
            form.add_error(None, "It leads to the machine itself: that is for whoever runs the platform.")
        except ReferenceChanged:
            form.add_error(None, f"Nothing was changed: it was rotated meanwhile, and leads to {reference.path} now.")
            form.data = typed_with(form.data, seen=_seen(reference))
        else:
            messages.success(request, f"{reference.name} leads to {form.location.path} from the next lease on.")
            return redirect(place.url("credential_list"))
    context = {
        "title": f"Rotate {reference.name}",
        "words": "Write the new secret where it lives first. The reference then leads there, or to another version.",
        "button": "Rotate the reference",
    }
    return _act_page(request, place, form, context)


@page(Act.EDIT_CREDENTIALS, send=Act.EDIT_CREDENTIALS)
def credential_revoke(request: HttpRequest, slug: str, reference_id: UUID) -> HttpResponse:
    """Safe to repeat."""
    place = place_of(request)
    reference = _reference(place, reference_id)
    form = ReasonForm(_sent(request))
    if request.method == "POST" and form.is_valid():
        with in_tenant(place.tenant.tag):
            revoke_reference(
                reference_id=reference_id,
                actor=place.actor(form.cleaned_data["reason"]),
                now=datetime.now(UTC),
            )
        look_soon(tags=[place.tenant.tag])
        messages.success(request, f"{reference.name} is revoked: the next lease of {reference.scope} is refused.")
        return redirect(place.url("credential_list"))
    context = {
        "title": f"Revoke {reference.name}",
        "words": "The next lease is refused; other references are untouched. A login that was made for a lease alone is"
        " ended within minutes; what else was leased before works until it expires there. What is revoked stays so.",
        "button": "Revoke the reference",
        "is_stop": True,
    }
    return _act_page(request, place, form, context)


def _add(
    request: HttpRequest, place: Place, form: NewReferenceForm, allowed: frozenset[BackEnd]
) -> HttpResponse | None:
    """The answer, None where the form says why not."""
    values = form.cleaned_data
    new = NewReference(
        name=values["name"],
        provider=values["provider"],
        scope=values["scope"],
        tools=values["tools"],
        back_end=BackEnd(values["back_end"]),
        location=form.location,
        note=values["note"],
        expires_at=form.expires_at,
    )
    try:
        with in_tenant(place.tenant.tag):
            add_reference(new, allowed=allowed, actor=place.actor(values["reason"]), now=datetime.now(UTC))
    except InvalidReference as refusal:
        _refuse(form, refusal)
        return None
    # Its alerts depend on when it expires, though nothing happens in the books.
    look_soon(tags=[place.tenant.tag])
    messages.success(request, f"{new.name} is added: a runtime may lease {new.scope}.")
    return redirect(place.url("credential_list"))


def _allowed(place: Place) -> frozenset[BackEnd]:
    """The back ends to which whoever is here may lead a reference."""
    return OPERATOR_BACK_ENDS if place.is_ops else MEMBER_BACK_ENDS


def _refuse(form: forms.Form, refusal: InvalidReference) -> None:
    names = {"expires_at": "expires_on"}
    form.add_error(names.get(refusal.field, refusal.field), str(refusal))


def _act_page(request: HttpRequest, place: Place, form: forms.Form, context: dict[str, Any]) -> HttpResponse:
    shared = {
        "section": "credentials",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "form": form,
        "back": place.url("credential_list"),
    }
    return render(request, "act_page.html", shared | context, status=422 if form.is_bound and form.errors else 200)


def _sent(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _reference(place: Place, reference_id: UUID) -> ReferenceLine:
    with in_tenant(place.tenant.tag):
        reference = reference_by_id(reference_id)
    if reference is None:
        raise Http404
    return reference


def _seen(reference: ReferenceLine) -> str:
    return json.dumps([reference.path, reference.key, reference.version])


def _read_seen(text: str) -> Location | None:
    """Where it led when the form was made; None for what says nothing."""
    try:
        path, key, version = json.loads(text)
    except (TypeError, ValueError):
        return None
    return Location(path=str(path), key=str(key), version=str(version))

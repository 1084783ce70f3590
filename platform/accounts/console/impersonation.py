"""Looking at a tenant's pages in the place of a member: what the session remembers of it."""

from datetime import UTC, datetime
from typing import Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.console.pages import page
from accounts.console.people_forms import ReasonField
from accounts.console.place import place_of
from accounts.models import OperatorRole, User
from accounts.roles import OPERATOR_MAY, Act
from accounts.services.impersonation import Impersonation, begin, end
from kernel.http.network_address import network_address
from kernel.ids import Tag

__all__ = ["Impersonation", "act_as", "end_act_as", "end_impersonation", "impersonation_of"]

_KEPT: Final = "impersonation"


def impersonation_of(request: HttpRequest) -> Impersonation | None:
    """At whose pages this operator looks; None when at nobody's, when its time is over, or when they may not any more.

    One that is over is written down as ended and forgotten here.
    """
    found = _kept(request)
    if found is None:
        return None
    now = datetime.now(UTC)
    if now < found.ends_at and _may_impersonate(request, found):
        return found
    _forget(request, found, now)
    return None


def end_impersonation(request: HttpRequest) -> None:
    """Write down that it is over, if there was one: by signing out, for example."""
    if found := _kept(request):
        _forget(request, found, datetime.now(UTC))


class ActAsForm(forms.Form):
    """Why somebody looks."""

    reason = ReasonField()


@page(Act.IMPERSONATE, send=Act.IMPERSONATE)
def act_as(request: HttpRequest, slug: str) -> HttpResponse:
    """A form for a reason; begins, and leads to the tenant's own overview. One at a time."""
    place = place_of(request)
    form = ActAsForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        actor = place.actor(form.cleaned_data["reason"])
        found = begin(tag=place.tenant.tag, slug=slug, actor=actor, now=datetime.now(UTC))
        end_impersonation(request)
        request.session[_KEPT] = {
            "tag": found.tag,
            "slug": found.slug,
            "reason": found.reason,
            "operator_email": found.operator_email,
            "ends_at": found.ends_at.isoformat(),
        }
        return redirect("own_books:overview", slug)
    facts = {
        "section": "tenants",
        "place": place,
        "title": f"Look at the pages of {place.tenant.name or slug}",
        "words": "As a member who may only look, for half an hour. The tenant can read it in their audit trail.",
        "form": form,
        "button": "Look",
        "back": place.url("overview"),
    }
    return render(request, "act_page.html", facts, status=422 if form.is_bound else 200)


@require_POST
def end_act_as(request: HttpRequest) -> HttpResponse:
    """Ends it, and leads back to the operators' page of the tenant."""
    found = _kept(request)
    if found is None:
        return redirect("home")
    _forget(request, found, datetime.now(UTC))
    return redirect("ops_books:overview", found.slug)


def _may_impersonate(request: HttpRequest, found: Impersonation) -> bool:
    user = request.user
    if not isinstance(user, User) or not user.is_operator or user.email != found.operator_email:
        return False
    assert user.operator_role is not None  # else they were no operator
    return Act.IMPERSONATE in OPERATOR_MAY[OperatorRole(user.operator_role)]


def _kept(request: HttpRequest) -> Impersonation | None:
    kept = request.session.get(_KEPT)
    if kept is None:
        return None
    return Impersonation(
        tag=Tag(kept["tag"]),
        slug=kept["slug"],
        reason=kept["reason"],
        operator_email=kept["operator_email"],
        ends_at=datetime.fromisoformat(kept["ends_at"]),
    )


def _forget(request: HttpRequest, found: Impersonation, now: datetime) -> None:
    del request.session[_KEPT]
    end(found, source_ip=network_address(request), now=now)

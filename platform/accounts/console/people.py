"""Members and operators: who they are, asking somebody in, changing what they may, ending it.

The same views serve both; `accounts.console.circles` knows what differs, `people_urls` who may.
"""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.console.circles import Circle, circle_of
from accounts.console.invitation_links import hand_over, take_link
from accounts.console.people_forms import InviteForm, LeaveForm, RemoveForm, RoleForm, WithdrawForm
from accounts.console.place import place_of
from accounts.selectors.people import open_invitations
from accounts.services.invitations import AlreadyThere, InvitationOver, invite, withdraw
from accounts.services.members import LastOwner, NoSuchMember, RoleChanged
from accounts.services.operators import InvalidEmail

_LAST_OWNER = "They are the last owner. Make somebody else an owner first."
_GONE = "They are not here any more. Somebody was quicker."


def person_list(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Everybody, and who has been asked."""
    circle, place = circle_of(request), place_of(request)
    facts = {
        "place": place,
        "circle": circle,
        "time_zone": place.tenant.time_zone if place.tenant else "UTC",
        "section": circle.title.lower(),
        "may_change": circle.manage in place.may,
        "may_leave": circle.leave_act in place.may,
        "invitations": open_invitations(circle.tag, now=datetime.now(UTC)),
        "new_link": take_link(request, tag=circle.tag),
        **{f"{name}_url": circle.url(name) for name in ("invite", "role", "remove", "withdraw", "leave")},
    }
    return render(request, "accounts/person_list.html", facts)


def person_invite(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A form for an address and a role; the link is mailed, or shown once on the list."""
    circle = circle_of(request)
    form = InviteForm(circle, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            invited = invite(
                email=given["email"],
                role=circle.roles(given["role"]),
                tag=circle.tag,
                place_name=circle.name,
                actor=place_of(request).actor(given["reason"]),
                now=datetime.now(UTC),
            )
        except AlreadyThere:
            form.add_error("email", "They belong here already.")
        except InvalidEmail:
            form.add_error("email", "This is no e-mail address.")
        else:
            hand_over(request, invited, tag=circle.tag, shown_at="")
            return _see_other(circle.url("list"))
    return _act(request, circle, form, title=f"Invite to {circle.name}", button="Invite")


def person_role(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A form for another role."""
    circle = circle_of(request)
    known = _known(request, circle)
    if request.method != "POST" and known is None:
        return _see_other(circle.url("list"))
    form = RoleForm(circle, request.POST) if request.method == "POST" else RoleForm(circle, initial=known)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            circle.change_role(
                email=given["email"],
                role=circle.roles(given["role"]),
                seen=given["seen"],
                actor=place_of(request).actor(given["reason"]),
                now=datetime.now(UTC),
            )
        except LastOwner:
            form.add_error("role", _LAST_OWNER)
        except RoleChanged as change:
            form.add_error("role", f"They are {change} by now. Look again before you change it.")
        except NoSuchMember:
            form.add_error(None, _GONE)
        else:
            messages.success(request, f"{given['email']} is {given['role']} now.")
            return _see_other(circle.url("list"))
    return _act(request, circle, form, title=f"Role of {_email(form)}", button="Change role")


def person_remove(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A form for a reason."""
    circle = circle_of(request)
    known = _known(request, circle)
    if request.method != "POST" and known is None:
        return _see_other(circle.url("list"))
    form = RemoveForm(request.POST) if request.method == "POST" else RemoveForm(initial=known)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            circle.remove(email=given["email"], actor=place_of(request).actor(given["reason"]), now=datetime.now(UTC))
        except LastOwner:
            form.add_error(None, _LAST_OWNER)
        except NoSuchMember:
            form.add_error(None, _GONE)
        else:
            messages.success(request, f"{given['email']} is out.")
            is_oneself = given["email"] == place_of(request).user.email
            return _see_other(_after_going() if is_oneself else circle.url("list"))
    return _act(request, circle, form, title=f"{circle.remove_word} {_email(form)}", button=circle.remove_word)


def person_leave(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A form for a reason: whoever sends it goes, and nobody else."""
    circle, place = circle_of(request), place_of(request)
    form = LeaveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            circle.leave(email=place.user.email, actor=place.actor(form.cleaned_data["reason"]), now=datetime.now(UTC))
        except LastOwner:
            form.add_error(None, _LAST_OWNER)
        except NoSuchMember:
            form.add_error(None, _GONE)
        else:
            messages.success(request, f"You have left {circle.name}.")
            return _see_other(_after_going())
    return _act(request, circle, form, title=f"Leave {circle.name}", button="Leave", words=circle.leave_words)


def person_withdraw(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A form for a reason."""
    circle = circle_of(request)
    asked = {"invitation": request.GET.get("invitation"), "email": request.GET.get("email")}
    form = WithdrawForm(request.POST) if request.method == "POST" else WithdrawForm(initial=asked)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            withdraw(
                invitation_id=given["invitation"],
                tag=circle.tag,
                actor=place_of(request).actor(given["reason"]),
                now=datetime.now(UTC),
            )
        except InvitationOver:
            form.add_error(None, "It is over already: used, withdrawn or replaced.")
        else:
            messages.success(request, "The link does not work any more.")
            return _see_other(circle.url("list"))
    return _act(request, circle, form, title=f"Withdraw the invitation of {_email(form)}", button="Withdraw")


def _act(request: HttpRequest, circle: Circle, form: Form, *, title: str, button: str, words: str = "") -> HttpResponse:
    facts = {
        "place": place_of(request),
        "section": circle.title.lower(),
        "title": title,
        "words": words,
        "form": form,
        "button": button,
        "back": circle.url("list"),
    }
    return render(request, "act_page.html", facts, status=422 if form.is_bound else 200)


def _known(request: HttpRequest, circle: Circle) -> dict[str, Any] | None:
    """What the form begins with; None for somebody who is not there."""
    person = circle.person(request.GET.get("email", ""))
    if person is None:
        return None
    return {"email": person.email, "role": person.role, "seen": person.role}


def _after_going() -> str:
    # The one page that is theirs still, wherever else they belong.
    return reverse("accounts:account")


def _email(form: Form) -> str:
    return str(form["email"].value() or "")


def _see_other(address: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": address})

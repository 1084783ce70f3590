"""Forms that do something: shown as a page of their own, sent, and answered with where to look next."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render

from accounts.console.place import place_of
from accounts.roles import Act


class ReasonForm(forms.Form):
    """What every act asks for."""

    reason = forms.CharField(label="Reason", max_length=500, help_text="Kept in the audit trail.")


def act_page(request: HttpRequest, form: forms.Form, **context: Any) -> HttpResponse:
    """The form by itself, which the console also shows in a dialog; 422 when it was sent and something is wrong.

    `context` has title, words, button, back, section, and is_stop where it stops something.
    """
    place = place_of(request)
    known = {"place": place, "tenant": place.tenant, "form": form, "action": request.get_full_path()}
    return render(request, "act_page.html", known | context, status=422 if form.is_bound else 200)


def sent(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was sent, were it nothing; None while it is only looked at."""
    return request.POST if request.method == "POST" else None


def typed_again[F: forms.Form](form: type[F], request: HttpRequest, error: str, **fields: str) -> F:
    """The form as it was sent, with `fields` in place of what was sent of them, and why it was not done."""
    typed = request.POST.copy()
    for name, value in fields.items():
        typed[name] = value
    bound = form(typed)
    bound.add_error(None, error)
    return bound


def done(request: HttpRequest, words: str, address: str) -> HttpResponse:
    """Say what was done, and show it where it stands."""
    messages.success(request, words)
    return HttpResponseRedirect(address, status=303)


def saved_for_later(request: HttpRequest, address: str) -> HttpResponse:
    """What `RulesBusy` means to a person."""
    messages.warning(
        request, "It is saved and not yet in force, for the rules are being changed by others. Save it again."
    )
    return HttpResponseRedirect(address, status=303)


def wants_csv(request: HttpRequest) -> bool:
    """Whether the whole list is asked for as a file, by somebody who may take it along."""
    return request.GET.get("format") == "csv" and Act.EXPORT in place_of(request).may


def asked(request: HttpRequest, name: str, *, length_max: int = 256) -> str:
    """A filter of the URL, without what no name has."""
    return request.GET.get(name, "").replace("\0", "").strip()[:length_max]

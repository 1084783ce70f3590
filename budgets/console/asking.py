"""`requests/`: a tenant's people ask for more money where a limit is not theirs to raise, and operators answer."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.money_forms import AnswerForm, AskForm, GrantForm
from budgets.console.refusals import MONEY_REFUSALS, refusal_text
from budgets.console.request_rows import open_rows, request_rows
from budgets.console.trees import tree_of_now
from budgets.console.wording import scope_words
from budgets.models.choices import RequestState
from budgets.selectors.requests import RequestLine, request_line, request_page
from budgets.services.payloads import PayloadDiffers
from budgets.services.requests import (
    Asked,
    RequestAnswered,
    RequestNotFound,
    ask_for_money,
    decline_request,
    grant_request,
)
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.pages.amounts import exact_amount_text
from kernel.pages.typed_amounts import typed_amount
from kernel.tenancy import in_tenant
from tenants.selectors.open_requests import open_request_page

_PER_PAGE: Final = 50
_CHOICES_MAX: Final = 500
_ANSWERED: Final = {
    RequestState.GRANTED: "Somebody has granted this request already. Nothing more was done.",
    RequestState.DECLINED: "Somebody has declined this request already. Nothing was done.",
}


@page(Act.SEE_PLATFORM)
def request_list_of_all(request: HttpRequest) -> HttpResponse:
    """What waits for an answer, of all tenants, the longest waiting first."""
    page = open_request_page(after=_uuid(request.GET.get("after", "")), limit=_PER_PAGE)
    context = {
        "section": "requests",
        "place": place_of(request),
        "rows": open_rows(page.requests),
        "next_after": page.next_after,
    }
    return render(request, "budgets/open_request_list.html", context)


@page(Act.SEE_BOOKS)
def request_list(request: HttpRequest, slug: str) -> HttpResponse:
    """All requests of one tenant, the newest first."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        found = request_page(before=_uuid(request.GET.get("before", "")), limit=_PER_PAGE)
    context = _context(place) | {"requests": request_rows(found.requests), "next_before": found.next_before}
    return render(request, "budgets/request_list.html", context)


@page(Act.REQUEST_MONEY, send=Act.REQUEST_MONEY)
def request_new(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        tree, _ = tree_of_now(datetime.now(UTC), limit=_CHOICES_MAX)
    if request.method == "POST":
        form = AskForm(request.POST, lines=tree.lines)
        if form.is_valid() and form.line:
            asked = Asked(
                id=form.cleaned_data["key"],
                scope_path=form.line.scope_path,
                unit=Unit(form.line.unit),
                amount=form.cleaned_data["amount"],
            )
            try:
                ask_for_money(
                    tag=place.tenant.tag,
                    asked=asked,
                    actor=place.actor(form.cleaned_data["reason"]),
                    now=datetime.now(UTC),
                )
            except MONEY_REFUSALS as refusal:
                if isinstance(refusal, PayloadDiffers):
                    form = AskForm(request.POST.dict() | {"key": str(uuid7())}, lines=tree.lines)
                form.add_error(None, refusal_text(refusal))
            else:
                text = exact_amount_text(asked.amount, asked.unit)
                messages.success(request, f"Asked for {text} more for {scope_words(asked.scope_path)}.")
                return redirect(f"{place.url('budget_list')}#requests")
    else:
        initial = {name: request.GET.get(name, "")[:256] for name in ("amount", "reason")}
        form = AskForm(lines=tree.lines, initial=initial | {"budget": request.GET.get("for", ""), "key": uuid7()})
    context = {
        "title": "Ask for more money",
        "words": "Whoever runs this platform sees the request at once, and answers it here. What they grant is added "
        "to the limit of the period that is under way.",
        "button": "Send the request",
        "back": place.url("budget_list"),
    }
    return _act_page(request, place, form, context)


@page(Act.ANSWER_REQUESTS, send=Act.ANSWER_REQUESTS)
def request_grant(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    place = place_of(request)
    asked = _asked(place, request_id)
    if request.method == "POST":
        form: forms.Form = GrantForm(request.POST, unit=asked.unit)
        if form.is_valid():
            amount = form.cleaned_data["amount"]
            try:
                grant_request(
                    tag=place.tenant.tag,
                    request_id=request_id,
                    amount=amount,
                    actor=place.actor(form.cleaned_data["reason"]),
                    now=datetime.now(UTC),
                )
            except (RequestAnswered, RequestNotFound) as refusal:
                return _answered_before(request, refusal)
            except MONEY_REFUSALS as refusal:
                form.add_error(None, refusal_text(refusal))
            else:
                text = exact_amount_text(amount, asked.unit)
                messages.success(request, f"Granted {text} for {scope_words(asked.scope_path)}.")
                return redirect(reverse("ops:request_list"))
    else:
        form = GrantForm(unit=asked.unit, initial={"amount": typed_amount(asked.amount, asked.unit)})
    context = {
        "title": f"Grant {exact_amount_text(asked.amount, asked.unit)}",
        "words": f"{asked.asked_by} asked for {scope_words(asked.scope_path)}: “{asked.reason}”. What you grant is "
        "added to its limit at once, for the period that is under way.",
        "button": "Grant",
        "back": reverse("ops:request_list"),
    }
    return _act_page(request, place, form, context)


@page(Act.ANSWER_REQUESTS, send=Act.ANSWER_REQUESTS)
def request_decline(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    place = place_of(request)
    asked = _asked(place, request_id)
    form = AnswerForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        actor = place.actor(form.cleaned_data["reason"])
        try:
            decline_request(tag=place.tenant.tag, request_id=request_id, actor=actor, now=datetime.now(UTC))
        except (RequestAnswered, RequestNotFound) as refusal:
            return _answered_before(request, refusal)
        messages.success(request, f"Declined. {asked.asked_by} reads your reason beside the request.")
        return redirect(reverse("ops:request_list"))
    context = {
        "title": f"Decline {exact_amount_text(asked.amount, asked.unit)}",
        "words": f"{asked.asked_by} asked for {scope_words(asked.scope_path)}: “{asked.reason}”.",
        "button": "Decline",
        "back": reverse("ops:request_list"),
    }
    return _act_page(request, place, form, context)


def _asked(place: Place, request_id: UUID) -> RequestLine:
    with in_tenant(place.tenant.tag):
        asked = request_line(request_id)
    if asked is None:
        raise Http404
    return asked


def _answered_before(request: HttpRequest, refusal: Exception) -> HttpResponse:
    messages.warning(request, _ANSWERED.get(RequestState(str(refusal)), "") if str(refusal) in RequestState else "")
    return redirect(reverse("ops:request_list"))


def _act_page(request: HttpRequest, place: Place, form: forms.Form, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "act_page.html", _context(place) | {"form": form} | context, status=status)


def _context(place: Place) -> dict[str, Any]:
    return {
        "section": "budgets" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

"""Importing prices, and approving or rejecting what waits: seen with its count, refused if that has changed."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from kernel.pages.amounts import counted_text, number_text
from routing.console.acts import ReasonForm, act_page, asked, done, sent, typed_again
from routing.console.price_rows import difference_row
from routing.models import PriceVersion
from routing.selectors.price_pages import proposals_of
from routing.services.price_approval import NotProposed, PriceDatesOverlap, approve_prices, reject_prices
from routing.services.price_differences import differences_of
from routing.services.price_import import import_prices
from routing.services.price_source import read_source

_IDS_MAX: Final = 100
_SHOWN: Final = 100


class DecisionForm(ReasonForm):
    """`seen` stands for the very prices that were looked at."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)


@page(Act.APPROVE_PRICES, send=Act.APPROVE_PRICES)
def price_import(request: HttpRequest) -> HttpResponseBase:
    """Compare the installed list with the book, and propose what differs. Nothing is charged by that."""
    form = ReasonForm(sent(request), initial={"reason": "Look for new prices"})
    back = reverse("ops:price_proposals")
    if request.method == "POST" and form.is_valid():
        actor = place_of(request).actor(form.cleaned_data["reason"])
        found = import_prices(read_source(), actor=actor, now=datetime.now(UTC))
        words = (
            f"genai-prices {found.version}: {counted_text(len(found.differences), 'new proposal')},"
            f" {number_text(found.waiting)} waiting already, {number_text(found.unchanged)} unchanged."
        )
        return done(request, words, back)
    return act_page(
        request,
        form,
        section="prices",
        title="Look for new prices",
        words=(
            "Compares the installed package genai-prices with the book, without any network. What differs is proposed"
            " and charged only when somebody approves it."
        ),
        button="Look for new prices",
        back=back,
    )


@page(Act.APPROVE_PRICES, send=Act.APPROVE_PRICES)
def price_decision(request: HttpRequest) -> HttpResponseBase:
    """Approve or reject the prices that the address names: by ids, or all that a provider or search finds."""
    is_approval = asked(request, "decision") != "reject"
    chosen = _chosen(request)
    seen = _digest(chosen)
    form = DecisionForm(sent(request), initial={"seen": seen})
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["seen"] != seen:
            words = (
                "Nothing was decided: what waits has changed since you looked. Below is what waits now;"
                " press the button again if you still want it."
            )
            form = typed_again(DecisionForm, request, words, seen=seen)
        elif answer := _decide(request, form, chosen, is_approval=is_approval):
            return answer
    shown = differences_of(chosen[:_SHOWN], now=datetime.now(UTC))
    verb = "Approve" if is_approval else "Reject"
    context = {
        "section": "prices",
        "place": place_of(request),
        "form": form,
        "rows": [difference_row(each) for each in shown],
        "count": len(chosen),
        "more": len(chosen) - len(shown),
        "is_approval": is_approval,
        "title": f"{verb} {counted_text(len(chosen), 'price')}",
        "back": _proposals_address(request),
    }
    return render(request, "routing/price_decision.html", context, status=422 if form.is_bound else 200)


def _decide(
    request: HttpRequest, form: DecisionForm, chosen: Sequence[PriceVersion], *, is_approval: bool
) -> HttpResponseBase | None:
    if not chosen:
        form.add_error(None, "Nothing waits for a decision.")
        return None
    decide = approve_prices if is_approval else reject_prices
    actor = place_of(request).actor(form.cleaned_data["reason"])
    try:
        count = decide([version.pk for version in chosen], actor=actor, now=datetime.now(UTC))
    except (NotProposed, PriceDatesOverlap) as refusal:
        form.add_error(None, f"Nothing was decided. {refusal}")
        return None
    words = f"{counted_text(count, 'price')} {'approved' if is_approval else 'rejected'}."
    return done(request, words, _proposals_address(request))


def _chosen(request: HttpRequest) -> list[PriceVersion]:
    try:
        ids = [UUID(text) for text in request.GET.getlist("id")[:_IDS_MAX]]
    except ValueError:
        raise Http404 from None
    if ids:
        return proposals_of(ids=ids)
    return proposals_of(
        provider=asked(request, "provider", length_max=100).lower(), search=asked(request, "q", length_max=100).lower()
    )


def _digest(versions: Sequence[PriceVersion]) -> str:
    return hashlib.sha256(" ".join(str(version.pk) for version in versions).encode()).hexdigest()


def _proposals_address(request: HttpRequest) -> str:
    filters = {name: asked(request, name) for name in ("provider", "q") if asked(request, name)}
    return reverse("ops:price_proposals") + (f"?{urlencode(filters)}" if filters else "")

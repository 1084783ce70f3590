"""`budgets/<id>/raise/`: an operator gives one budget more."""

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.money_forms import RaiseForm, new_key
from budgets.console.refusals import MONEY_REFUSALS, refusal_text
from budgets.console.trees import tree_of_now
from budgets.console.wording import scope_words
from budgets.services.funding import Funding, FundingOperation, fund
from budgets.services.payloads import PayloadDiffers
from kernel.pages.amounts import exact_amount_text
from kernel.tenancy import in_tenant

_BUDGETS_READ = 500


@page(Act.EDIT_BUDGETS, send=Act.EDIT_BUDGETS)
def budget_raise(request: HttpRequest, slug: str, budget_id: UUID) -> HttpResponse:
    """Sent twice, the form raises once."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        tree, _ = tree_of_now(datetime.now(UTC), limit=_BUDGETS_READ)
    line = next((line for line in tree.lines if line.id == budget_id), None)
    if line is None:
        raise Http404
    if request.method == "POST":
        form = RaiseForm(request.POST, unit=line.unit)
        if form.is_valid():
            amount = form.cleaned_data["amount"]
            funding = Funding(
                operation=FundingOperation.CREDIT,
                unit=line.unit,
                amount=amount,
                idempotency_key=form.cleaned_data["key"],
            )
            try:
                with in_tenant(place.tenant.tag):
                    fund(budget_id=budget_id, funding=funding, actor=place.actor(form.cleaned_data["reason"]))
            except MONEY_REFUSALS as refusal:
                if isinstance(refusal, PayloadDiffers):
                    form = RaiseForm(request.POST.dict() | {"key": new_key()}, unit=line.unit)
                form.add_error(None, refusal_text(refusal, unit=line.unit))
            else:
                text = exact_amount_text(amount, line.unit)
                messages.success(request, f"Added {text} to {scope_words(line.scope_path)}.")
                return redirect(place.url("budget_list"))
    else:
        form = RaiseForm(unit=line.unit, initial={"amount": request.GET.get("amount", "")[:40], "key": new_key()})
    limit, free = (exact_amount_text(amount, line.unit) for amount in (line.allocated, line.remaining))
    context = {
        "section": "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "title": f"Raise the limit of {scope_words(line.scope_path)}",
        "words": f"Its limit is {limit}, of which {free} is left. What you add counts at once, for the period that is "
        "under way.",
        "form": form,
        "button": "Raise the limit",
        "back": place.url("budget_list"),
    }
    return render(request, "act_page.html", context, status=422 if form.is_bound and form.errors else 200)

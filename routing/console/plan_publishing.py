"""Publishing the next version of a plan, or the first of a new one."""

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.services.plan_defaults import InvalidPlanDefaults
from routing.console.acts import done, sent
from routing.console.documents import document_text
from routing.console.plan_forms import NewPlanForm, PlanForm, usd_text
from routing.services.plan_checks import check_new_plan
from tenants.selectors.plans import latest_plan
from tenants.services.plans import PlanBusy, publish_plan


@page(Act.EDIT_PLANS, send=Act.EDIT_PLANS)
def plan_new(request: HttpRequest) -> HttpResponseBase:
    form: PlanForm = NewPlanForm(sent(request), initial={"seen": 0, "price": "0"})
    if form.is_bound and form.is_valid() and (published := _publish(request, form, code=form.cleaned_data["code"])):
        return published
    return _page(request, form, title="New plan", button="Publish the plan", back=reverse("ops:plan_list"))


@page(Act.EDIT_PLANS, send=Act.EDIT_PLANS)
def plan_version_new(request: HttpRequest, code: str) -> HttpResponseBase:
    latest = None if "\0" in code else latest_plan(code)
    if latest is None:
        raise Http404
    initial = {
        "seen": latest.version,
        "name": latest.name,
        "price": usd_text(latest.price),
        "document": document_text(latest.defaults),
    }
    form = PlanForm(sent(request), initial=initial)
    if form.is_bound and form.is_valid() and (published := _publish(request, form, code=code)):
        return published
    return _page(
        request,
        form,
        title=f"New version of {latest.name}",
        words=f"{code} v{latest.version + 1}. Who is on an earlier version stays on it until the plan is changed.",
        button=f"Publish v{latest.version + 1}",
        back=reverse("ops:plan_detail", args=[code]),
    )


def _publish(request: HttpRequest, form: PlanForm, *, code: str) -> HttpResponseBase | None:
    """The way to the published version; None with the mistake in the form."""
    values = form.cleaned_data
    latest = latest_plan(code)
    now = datetime.now(UTC)
    if (latest.version if latest else 0) != values["seen"]:
        there = f"v{latest.version}" if latest else "nothing"
        form.add_error(None, f"Nothing was published: of {code} there is {there} by now. Look at it, then start again.")
        return None
    try:
        check_new_plan(values["document"], now=now)
        plan = publish_plan(
            code=code,
            name=values["name"],
            price=form.price_microcents,
            defaults=values["document"],
            actor=place_of(request).actor(values["reason"]),
            now=now,
        )
    except InvalidPlanDefaults as refusal:
        form.add_error("document", str(refusal))
        return None
    except PlanBusy:
        form.add_error(None, "Others published versions of this plan at the same moment. Look at them first.")
        return None
    return done(
        request, f"Published {plan.name}, {plan.code} v{plan.version}.", reverse("ops:plan_detail", args=[code])
    )


def _page(request: HttpRequest, form: PlanForm, **context: str) -> HttpResponseBase:
    known = {"section": "plans", "place": place_of(request), "form": form}
    return render(request, "routing/document_form.html", known | context, status=422 if form.is_bound else 200)

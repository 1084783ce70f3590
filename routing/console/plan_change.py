"""`…/limits/plan/`: putting the tenant on another plan, seen before it is done."""

import hashlib
import json
from datetime import datetime
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.selectors.subscriptions import current_subscription
from budgets.services.guards import TenantIsClosed, TenantIsSuspended
from budgets.services.periods import BooksBusy
from budgets.services.subscribing import SubscriptionChanged
from kernel.tenancy import in_tenant
from routing.console.acts import asked, done, saved_for_later, sent
from routing.console.plan_change_rows import ChangeRows, change_rows
from routing.console.plan_rows import plan_row
from routing.services.plan_changes import PlanDoesNotFit, PlanNotFound, change_plan, preview_plan
from routing.services.plan_comparison import PlanChange
from routing.services.rulesets import RulesBusy
from tenants.selectors.plans import latest_plans

_MONTH_END: Final = "month_end"
_REASONS: Final = ("The customer asked for it", "Agreed in the contract", "Corrects a mistake", "Trial ended")


class ChangeForm(forms.Form):
    """`seen` stands for what the preview showed: if that is no longer so, nothing is changed."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)
    reason = forms.ChoiceField(label="Reason", choices=[(reason, reason) for reason in _REASONS])
    note = forms.CharField(label="Note (optional)", max_length=400, required=False)

    @property
    def whole_reason(self) -> str:
        note = self.cleaned_data["note"]
        return f"{self.cleaned_data['reason']}: {note}" if note else str(self.cleaned_data["reason"])


@page(Act.CHANGE_PLAN, send=Act.CHANGE_PLAN)
def plan_change(request: HttpRequest, slug: str) -> HttpResponseBase:
    """GET chooses and previews; POST to the same address changes the plan to what was previewed."""
    place = place_of(request)
    code, version = asked(request, "plan", length_max=64), asked(request, "version", length_max=9)
    is_at_month_end = asked(request, "when") == _MONTH_END
    change: PlanChange | None = None
    refusal = ""
    if code:
        number = int(version) if version.isascii() and version.isdigit() else None
        wanted = {"tag": place.tenant.tag, "code": code, "version": number, "at_month_end": is_at_month_end}
        change, refusal = _preview(wanted)
    form = ChangeForm(sent(request), initial={"seen": _seen(change)} if change else {})
    is_refused = False
    if request.method == "POST":
        if change and form.is_valid():
            if form.cleaned_data["seen"] == _seen(change):
                answer = _change(request, form, wanted)
                if isinstance(answer, HttpResponseBase):
                    return answer
                refusal = answer
            else:
                refusal = (
                    "Nothing was changed: the figures have moved since you looked. Those below are of now;"
                    " press the button again if you still want them."
                )
        is_refused = True
        if change:
            form = ChangeForm(initial=request.POST.dict() | {"seen": _seen(change)})
    return _page(request, change, form, refusal, status=422 if is_refused else 200)


def _preview(wanted: dict[str, Any]) -> tuple[PlanChange | None, str]:
    try:
        return preview_plan(**wanted), ""
    except PlanNotFound:
        return None, "There is no such plan, or no such version of it."
    except PlanDoesNotFit as refusal:
        return None, str(refusal)
    except BooksBusy:
        return None, "Somebody holds the tenant's books. Ask again in a moment."


def _change(request: HttpRequest, form: ChangeForm, wanted: dict[str, Any]) -> HttpResponseBase | str:
    place = place_of(request)
    back = place.url("limits")
    try:
        change = change_plan(**wanted, actor=place.actor(form.whole_reason))
    except (PlanNotFound, SubscriptionChanged):
        return "Nothing was changed: the tenant's plan has changed since you looked. Look at it, then change it again."
    except PlanDoesNotFit as refusal:
        return f"Nothing was changed. {refusal}"
    except TenantIsClosed:
        return "Nothing was changed: the tenant is closed."
    except TenantIsSuspended:
        return "Nothing was changed: the tenant is stopped. Resume it first."
    except RulesBusy:
        return saved_for_later(request, back)
    when = "now" if change.is_now else "from the end of the month"
    return done(request, f"{place.tenant.name or place.tenant.slug} is on {change.plan_after} {when}.", back)


def _page(
    request: HttpRequest, change: PlanChange | None, form: ChangeForm, refusal: str, *, status: int
) -> HttpResponseBase:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        subscription = current_subscription()
    rows: ChangeRows | None = change_rows(change) if change else None
    context = {
        "section": "tenants",
        "tab": "limits",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "subscription": subscription,
        "plans": [plan_row(plan, {}) for plan in latest_plans()],
        "chosen": asked(request, "plan", length_max=64),
        "when": asked(request, "when"),
        "change": change,
        "rows": rows,
        "form": form,
        "refusal": refusal,
    }
    return render(request, "routing/plan_change.html", context, status=status)


def _seen(change: PlanChange) -> str:
    """What of the preview must still be so. Prorated amounts are not: they move with the clock."""
    facts = [
        change.plan_before,
        change.plan_after,
        change.is_now,
        [(limit.name, _value(limit.before), _value(limit.after)) for limit in change.limits],
        [
            (step.scope, str(step.unit), str(step.kind), step.before, step.granted.allocated_a_period)
            for step in change.money.budgets
        ],
        [(step.name, str(step.kind), step.before, step.after) for step in change.money.templates],
        [over.name for over in change.over],
    ]
    return hashlib.sha256(json.dumps(facts, default=_text).encode()).hexdigest()


def _value(limit: Any) -> Any:
    return None if limit is None else (limit.value, limit.place)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

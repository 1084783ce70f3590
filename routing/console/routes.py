"""`/ops/routes/`: tiers and classes of the plans, a dry run for any tenant, and how often routers are right."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from msgspec import UNSET

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.services.plan_defaults import InvalidPlanDefaults, read_plan_defaults
from budgets.services.routing_policy import RoutingPolicy
from kernel.pages.exports import csv_response
from routing.console.acts import asked, wants_csv
from routing.console.call_box import CallForm, CallResult, result_of
from routing.console.router_words import AccuracyRow, accuracy_row
from routing.console.routing_rows import class_rows, tier_rows
from routing.services.router_watch import router_reports
from tenants.selectors.directory import TenantLine, directory_page, tenant_by_slug
from tenants.selectors.plans import latest_plans

if TYPE_CHECKING:
    from tenants.models import Plan

#: Each is asked in its own books.
_ROUTERS_PER_PAGE: Final = 20


class DryRunForm(CallForm):
    """A call, and whose it would be."""

    tenant = forms.CharField(label="Tenant, by slug", max_length=64)
    field_order = ["tenant"]


@page(Act.SEE_PLATFORM)
def routes(request: HttpRequest) -> HttpResponseBase:
    plans = {plan.code: plan for plan in latest_plans()}
    policies = {code: policy for code, plan in plans.items() if (policy := _routing_of(plan)) is not None}
    if wants_csv(request):
        rows = (
            (code, plans[code].version, row.name, row.tier, row.pattern, row.caps, row.priority, row.longest)
            for code, policy in policies.items()
            for row in class_rows(policy)
        )
        heads = ("plan", "version", "class", "tier", "pattern", "caps", "priority", "longest_of_sla")
        return csv_response("routes", heads, rows)
    code = asked(request, "plan", length_max=64)
    code = code if code in policies else next(iter(policies), "")
    policy = policies.get(code)
    form = DryRunForm(request.GET) if "try" in request.GET else DryRunForm()
    context = {
        "section": "routes",
        "place": place_of(request),
        "plans": [plans[known] for known in policies],
        "plan": plans.get(code),
        "tiers": tier_rows(policy) if policy else [],
        "classes": class_rows(policy) if policy else [],
        "form": form,
        "result": _dry_run(form),
    }
    return render(request, "routing/routes.html", context)


@dataclass(frozen=True, slots=True)
class RouterRow:
    tenant: TenantLine
    accuracy: AccuracyRow


@page(Act.SEE_PLATFORM)
def router_accuracy(request: HttpRequest) -> HttpResponseBase:
    """Each tenant's router: its labels say how often it was right."""
    tenants = directory_page(
        search=asked(request, "q", length_max=100), after=asked(request, "after"), limit=_ROUTERS_PER_PAGE
    )
    lines = [line for line in tenants.tenants if line.has_books]
    reports = router_reports([line.tag for line in lines])
    context = {
        "section": "routes",
        "place": place_of(request),
        "rows": [RouterRow(line, accuracy_row(reports[line.tag])) for line in lines],
        "next_after": tenants.next_after,
        "search": asked(request, "q", length_max=100),
    }
    return render(request, "routing/router_accuracy.html", context)


def _dry_run(form: DryRunForm) -> CallResult | None:
    if not form.is_bound or not form.is_valid():
        return None
    slug = form.cleaned_data["tenant"]
    tenant = None if "\0" in slug else tenant_by_slug(slug)
    if tenant is None or not tenant.has_books:
        form.add_error("tenant", "There is no such tenant.")
        return None
    return result_of(form, tag=tenant.tag, slug=tenant.slug, time_zone=tenant.time_zone)


def _routing_of(plan: "Plan") -> RoutingPolicy | None:
    try:
        routing = read_plan_defaults(plan.defaults).routing
    except InvalidPlanDefaults:
        return None
    return None if routing is UNSET else routing

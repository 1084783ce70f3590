"""`…/routing/`: how the tenant's calls are routed and judged, and what a call would be told."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from msgspec import UNSET

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.selectors.policies import newest_policies
from budgets.selectors.router_models import newest_model
from budgets.selectors.subscriptions import current_subscription
from budgets.selectors.usage import UsageBy, rolled_up_at, usage_totals
from budgets.services.policies import PolicyKind
from budgets.services.tool_policy import ToolPolicy
from kernel.tenancy import in_tenant
from routing.console.call_box import asked_call, result_of
from routing.console.policy_words import KIND_WORDS, summary_words
from routing.console.router_words import accuracy_row
from routing.console.routing_rows import class_rows, tier_rows, tool_rows
from routing.rules.effective import effective_rules
from routing.rules.tools import tool_policy_of
from routing.selectors.rule_sources import own_of, plan_source
from routing.services.router_watch import router_report

OBSERVED: Final = timedelta(days=7)


@page(Act.SEE_LIMITS)
def routing(request: HttpRequest, slug: str) -> HttpResponseBase:
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    with in_tenant(tenant.tag):
        newest = newest_policies()
        own = own_of(current_subscription(), newest)
        observed = {share.name: share.sums for share in usage_totals(since=now - OBSERVED, until=now, by=UsageBy.CLASS)}
        as_of = rolled_up_at()
    plan = plan_source(*own.plan) if own.plan else None
    rules = effective_rules(plan=plan, policies=own.policies)
    tools, version = tool_policy_of(plan=plan, policies=own.policies)
    tools_place = own.policies[PolicyKind.TOOLS].place if version else plan.place if tools and plan else "no policy"
    form = asked_call(request.GET)
    context: dict[str, Any] = {
        "section": "tenants" if place.is_ops else "limits",
        "tab": "routing",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "tiers": tier_rows(rules.routing, rules) if rules.routing else [],
        "classes": class_rows(rules.routing, observed) if rules.routing else [],
        "routing_place": rules.routing_place,
        "has_low_water": rules.routing is not None and rules.routing.low_water is not UNSET,
        "as_of": as_of,
        "tools": tool_rows(tools or ToolPolicy()),
        "tools_place": tools_place,
        "policies": [
            {
                "kind": kind,
                "words": KIND_WORDS[kind],
                "newest": newest.get(kind),
                "summary": summary_words(newest.get(kind)),
            }
            for kind in PolicyKind
        ],
        "form": form,
        "result": result_of(form, tag=tenant.tag, slug=slug, time_zone=tenant.time_zone),
    }
    return render(request, "routing/tenant_routing.html", context)


@page(Act.SEE_LIMITS)
def router(request: HttpRequest, slug: str) -> HttpResponseBase:
    """How often the tenant's router is right, and the classifier in use."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        accuracy = accuracy_row(router_report())
        model = newest_model()
    context = {
        "section": "tenants" if place.is_ops else "limits",
        "tab": "routing",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "accuracy": accuracy,
        "model": model,
    }
    return render(request, "routing/router.html", context)

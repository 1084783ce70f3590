"""`…/limits/`: every limit that holds for the tenant, in words, with the place that it comes from."""

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.selectors.policies import newest_policies
from budgets.selectors.subscriptions import current_subscription
from kernel.pages.exports import csv_response
from kernel.tenancy import in_tenant
from routing.console.acts import wants_csv
from routing.console.limit_words import limit_groups, limit_row
from routing.selectors.effective_limits import limits_of
from routing.selectors.rule_sources import own_of


@page(Act.SEE_LIMITS)
def limits(request: HttpRequest, slug: str) -> HttpResponseBase:
    place = place_of(request)
    tenant = place.tenant
    with in_tenant(tenant.tag):
        subscription = current_subscription()
        own = own_of(subscription, newest_policies())
    found = limits_of(own, tag=tenant.tag, slug=slug)
    if wants_csv(request):
        rows = (
            (row.name, row.words, row.value, limit.value if isinstance(limit.value, int) else "", limit.unit, row.place)
            for limit, row in ((limit, limit_row(limit)) for limit in found)
        )
        return csv_response(f"{slug}-limits", ("name", "limit", "value", "number", "unit", "comes_from"), rows)
    context = {
        "section": "tenants" if place.is_ops else "limits",
        "tab": "limits",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "groups": limit_groups(found),
        "subscription": subscription,
    }
    return render(request, "routing/limits.html", context)

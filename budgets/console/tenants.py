"""One tenant with its budgets, decisions and keys."""

from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.keys.selectors.key_lines import key_lines
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.budget_rows import budget_rows
from budgets.console.decision_rows import decision_rows
from budgets.console.key_rows import key_rows
from budgets.console.tenant_rows import tenant_rows
from budgets.console.trees import tree_of_now
from budgets.selectors.decisions import recent_decisions
from kernel.tenancy import in_tenant

_BUDGETS_SHOWN: Final = 300
_DECISIONS_SHOWN: Final = 12
_KEYS_SHOWN: Final = 50


@page(Act.SEE_BOOKS)
def tenant_detail(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    with in_tenant(tenant.tag):
        tree, stale = tree_of_now(now, limit=_BUDGETS_SHOWN)
        decisions = recent_decisions(limit=_DECISIONS_SHOWN)
        keys = key_lines(limit=_KEYS_SHOWN)
    context = {
        "section": "tenants",
        "now": now,
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "row": tenant_rows([tenant], now=now)[0],
        "budgets": budget_rows(tree.lines, stale=stale),
        "is_stale": bool(stale),
        "is_tree_cut": tree.is_cut,
        "decisions": decision_rows(tenant.tag, decisions.decisions),
        "has_more_decisions": decisions.next_before is not None,
        "create_budget": first_steps.create_budget(tenant.slug),
        "create_key": first_steps.create_key(tenant.slug),
        "reserve": first_steps.reserve(tenant.slug),
        "keys": key_rows(keys, may=place.may, now=now),
    }
    return render(request, "budgets/tenant_detail.html", context)

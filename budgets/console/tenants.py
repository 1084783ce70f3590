"""`/ops/tenants/`: the list, and one tenant with its budgets, decisions and keys."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.keys.selectors.key_lines import key_lines
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.budget_rows import budget_rows
from budgets.console.decision_rows import decision_rows
from budgets.console.tenant_rows import TENANTS_PER_PAGE, is_due, tenant_rows
from budgets.console.wording import path_within_tenant
from budgets.selectors.budget_lines import BudgetTree, budget_tree
from budgets.selectors.decisions import recent_decisions
from budgets.services.periods import BooksBusy, open_due_periods
from kernel.pages.fragments import wants_fragment
from kernel.tenancy import in_tenant
from tenants.selectors.directory import TenantStatus, directory_page

_BUDGETS_SHOWN: Final = 300
_DECISIONS_SHOWN: Final = 12
_KEYS_SHOWN: Final = 50
_SEARCH_LENGTH_MAX: Final = 100


@page(Act.SEE_PLATFORM)
def tenant_list(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("q", "").replace("\0", "").strip()[:_SEARCH_LENGTH_MAX]
    wanted = request.GET.get("status", "")
    status = TenantStatus(wanted) if wanted in TenantStatus.values else None
    after = request.GET.get("after", "").replace("\0", "")
    page = directory_page(search=search, status=status, after=after, limit=TENANTS_PER_PAGE)
    context = {
        "section": "tenants",
        "place": place_of(request),
        "rows": tenant_rows(page.tenants, now=datetime.now(UTC)),
        "search": search,
        "status": status.value if status else "",
        "statuses": [(known.value, known.label) for known in TenantStatus],
        "is_filtered": bool(search or status or after),
        "next_after": page.next_after,
        "first_step": first_steps.create_tenant(),
    }
    return render(request, wants_fragment(request, "budgets/tenant_list.html", "tenants"), context)


@page(Act.SEE_BOOKS)
def tenant_detail(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    with in_tenant(tenant.tag):
        tree, stale = _tree_of_now(now)
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
        "keys": [(key, [path_within_tenant(scope) for scope in key.scopes], key.is_usable(now=now)) for key in keys],
    }
    return render(request, "budgets/tenant_detail.html", context)


def _tree_of_now(now: datetime) -> tuple[BudgetTree, list[UUID]]:
    """The tree, and the budgets in it whose new period could not be opened."""
    tree = budget_tree(limit=_BUDGETS_SHOWN)
    due = [line.id for line in tree.lines if is_due(line, now=now)]
    if not due:
        return tree, []
    try:
        open_due_periods(due)
    except BooksBusy:
        return tree, due
    return budget_tree(limit=_BUDGETS_SHOWN), []

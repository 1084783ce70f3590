"""`/ops/tenants/`: the list with its filters in the address, the whole of it as a file, and acts on many at once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.standing_rows import standing_row
from kernel.pages.exports import csv_response
from kernel.pages.fragments import wants_fragment
from tenants.selectors.directory import TenantStatus
from tenants.selectors.filtering import TenantFilter, matching_count
from tenants.selectors.plans import latest_plans
from tenants.selectors.standing import Order, StandingLine, standing_page

TENANTS_PER_PAGE: Final = 25
_SEARCH_LENGTH_MAX: Final = 100
_ROWS_A_READ: Final = 500
STOPPED: Final = "STOPPED"
_ORDERS: Final = (
    (Order.SLUG, "Name"),
    (Order.RISK, "Share used"),
    (Order.EXHAUSTION, "Time to exhaustion"),
    (Order.DENIALS, "Denied calls"),
    (Order.SPEND, "Spend of the last hour"),
)
_HEADS: Final = (
    "tenant",
    "name",
    "status",
    "stopped_since",
    "plan",
    "plan_version",
    "unit",
    "allocated",
    "reserved",
    "spent",
    "debt",
    "remaining",
    "spent_today",
    "spent_last_hour",
    "denied_last_hour",
    "runs_out_at",
    "as_of",
)


@page(Act.SEE_PLATFORM)
def tenant_list(request: HttpRequest) -> HttpResponse:
    """Four queries."""
    now = datetime.now(UTC)
    wanted, order = filter_of(request.GET), order_of(request.GET)
    after = request.GET.get("after", "").replace("\0", "")
    found = standing_page(
        now=now,
        order=order,
        search=wanted.search,
        status=wanted.status,
        is_stopped=wanted.is_stopped,
        plan=wanted.plan,
        after=after,
        limit=TENANTS_PER_PAGE,
    )
    is_filtered = wanted != TenantFilter()
    context = {
        "section": "tenants",
        "place": place_of(request),
        "rows": [standing_row(line, now=now) for line in found.lines],
        "count": matching_count(wanted, now=now),
        "search": wanted.search,
        "status": request.GET.get("status", ""),
        "statuses": [*((known.value, known.label) for known in TenantStatus), (STOPPED, "Stopped")],
        "plan": wanted.plan,
        "plans": latest_plans(),
        "order": order.value,
        "orders": [(each.value, words) for each, words in _ORDERS],
        "is_filtered": bool(is_filtered or after),
        "query": query_of(request.GET),
        "next_after": found.next_after,
        "first_step": first_steps.create_tenant(),
    }
    return render(request, wants_fragment(request, "budgets/tenant_list.html", "tenants"), context)


@page(Act.EXPORT)
def tenant_export(request: HttpRequest) -> HttpResponseBase:
    """Every tenant that the filter means; amounts to the last digit in the unit that stands beside them."""
    return csv_response("tenants", _HEADS, _rows(filter_of(request.GET)))


def filter_of(query: QueryDict) -> TenantFilter:
    """What the address says; what it gets wrong does not narrow."""
    status = query.get("status", "")
    return TenantFilter(
        search=query.get("q", "").replace("\0", "").strip()[:_SEARCH_LENGTH_MAX],
        status=TenantStatus(status) if status in TenantStatus.values else None,
        is_stopped=True if status == STOPPED else None,
        plan=query.get("plan", "").replace("\0", "")[:_SEARCH_LENGTH_MAX],
    )


def order_of(query: QueryDict) -> Order:
    order = query.get("order", "")
    return Order(order) if order in list(Order) else Order.SLUG


def query_of(query: QueryDict) -> str:
    """The filter and the order as they stand in an address, without a place in the list."""
    return urlencode({name: query[name] for name in ("q", "status", "plan", "order") if query.get(name)})


def _rows(wanted: TenantFilter) -> Iterator[list[object]]:
    now, after = datetime.now(UTC), ""
    while True:
        found = standing_page(
            now=now,
            order=Order.SLUG,
            search=wanted.search,
            status=wanted.status,
            is_stopped=wanted.is_stopped,
            plan=wanted.plan,
            after=after,
            limit=_ROWS_A_READ,
        )
        yield from (_cells(line, now=now) for line in found.lines)
        if found.next_after is None:
            return
        after = found.next_after


def _cells(line: StandingLine, *, now: datetime) -> list[object]:
    tenant, standing = line.tenant, line.standing
    stopped_at = tenant.stopped_at if tenant.is_stopped(now=now) else None
    known: list[object] = [tenant.slug, tenant.name, tenant.status.value, stopped_at, tenant.plan, tenant.plan_version]
    if standing is None:
        return known + [None] * (len(_HEADS) - len(known))
    return [
        *known,
        standing.unit,
        standing.allocated,
        standing.reserved,
        standing.spent,
        standing.debt,
        standing.remaining,
        standing.spent_today,
        standing.spent_hour,
        standing.denied_hour,
        standing.exhausts_at,
        standing.as_of,
    ]

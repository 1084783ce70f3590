"""`/ops/reports/`: what all tenants cost in a month, with the way to each one's statement."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.selectors.month_costs import TENANTS_MAX, MonthCost, month_costs, together
from budgets.selectors.statements import Month, NotAMonth, months_since, read_month
from kernel.pages.exports import csv_response
from tenants.console.currency import currency_context
from tenants.selectors.directory import TenantLine, directory_page

_MONTHS: Final = 12
#: Each is planned for itself by the database.
_TENANTS_PER_PAGE: Final = 25
_HEADS: Final = (
    "month", "tenant", "name", "plan", "time_zone", "calls", "charged_usd_microcents", "uncovered_usd_microcents",
    "corrected_usd_microcents", "priced_calls", "billed_for_priced_usd_microcents", "provider_cost_usd_microcents",
    "margin_usd_microcents",
)  # fmt: skip


@page(Act.SEE_MARGIN)
def reports(request: HttpRequest) -> HttpResponse:
    now = datetime.now(UTC)
    month = _month(request, now=now)
    after = request.GET.get("after", "").replace("\0", "")
    directory = directory_page(after=after, limit=_TENANTS_PER_PAGE)
    costs = month_costs(directory.tenants, first=month.first)
    context = {
        "section": "reports",
        "place": place_of(request),
        "month": month,
        "months": months_since(_long_ago(now), until=now, time_zone="UTC", limit=_MONTHS),
        "rows": [
            (tenant, costs.get(tenant.tag, MonthCost()), _has_statement(tenant, month, now=now))
            for tenant in directory.tenants
        ],
        "total": together(list(costs.values())),
        "is_partial": bool(after or directory.next_after),
        "next_after": directory.next_after,
        **currency_context(request),
    }
    return render(request, "budgets/reports.html", context)


@page(Act.SEE_MARGIN)
def reports_export(request: HttpRequest) -> HttpResponseBase:
    month = _month(request, now=datetime.now(UTC))
    return csv_response(f"cost-of-tenants-{month.text}", _HEADS, _rows(month))


def _rows(month: Month) -> Iterator[Sequence[object]]:
    after = ""
    while True:
        directory = directory_page(after=after, limit=TENANTS_MAX)
        costs = month_costs(directory.tenants, first=month.first)
        for tenant in directory.tenants:
            cost = costs.get(tenant.tag, MonthCost())
            plan = f"{tenant.plan} v{tenant.plan_version}" if tenant.plan else ""
            yield (
                month.text, tenant.slug, tenant.name, plan, tenant.time_zone, cost.calls, cost.charged, cost.uncovered,
                cost.corrected, cost.priced_calls, cost.priced_charged, cost.provider_cost, cost.margin,
            )  # fmt: skip
        if directory.next_after is None:
            return
        after = directory.next_after


def _month(request: HttpRequest, *, now: datetime) -> Month:
    """The month that was asked for, else the one under way. Each tenant's begins at its own midnight."""
    try:
        return read_month(request.GET.get("month", ""), time_zone="UTC")
    except NotAMonth:
        return Month(first=now.date().replace(day=1), time_zone="UTC")


def _long_ago(now: datetime) -> datetime:
    first = date(now.year - 1, now.month, 1)
    return datetime(first.year, first.month, 1, tzinfo=UTC)


def _has_statement(tenant: TenantLine, month: Month, *, now: datetime) -> bool:
    own = Month(first=month.first, time_zone=tenant.time_zone)
    return tenant.has_books and own.starts_at <= now and tenant.created_at < own.ends_at

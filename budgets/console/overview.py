"""`/ops/`: what needs attention."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.tenant_rows import TENANTS_PER_PAGE, TenantRow, tenant_rows
from budgets.console.wording import reason_words
from budgets.models.choices import Period
from kernel.money import Unit
from tenants.selectors.directory import directory_page, tenant_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the tenants on the page, in USD_MICROCENTS; budgets in other units are not part of them."""

    spent: int
    held: int
    spent_title: str
    denied: int
    is_denied_cut: bool
    tenants_denied: int
    exhausted: int
    near: int


@page(Act.SEE_PLATFORM)
def overview(request: HttpRequest) -> HttpResponse:
    now = datetime.now(UTC)
    page = directory_page(limit=TENANTS_PER_PAGE)
    rows = sorted(tenant_rows(page.tenants, now=now), key=lambda row: (-row.risk, row.tenant.slug))
    causes: Counter[str] = Counter()
    for row in rows:
        for cause in row.denials.causes:
            causes[reason_words(cause.reason_code)] += cause.count
    context = {
        "section": "overview",
        "place": place_of(request),
        "now": now,
        "rows": rows,
        "totals": totals_of(rows),
        "causes": causes.most_common(6),
        "tenant_count": tenant_count() if page.next_after else len(rows),
        "is_partial": page.next_after is not None,
        "first_step": first_steps.create_tenant(),
    }
    return render(request, "budgets/overview.html", context)


def totals_of(rows: Sequence[TenantRow]) -> Totals:
    dollars = [row.budget for row in rows if row.budget is not None and row.budget.unit == Unit.USD_MICROCENTS]
    is_daily = bool(dollars) and all(budget.period == Period.DAY for budget in dollars)
    return Totals(
        spent=sum(budget.spent + budget.debt for budget in dollars),
        held=sum(budget.reserved for budget in dollars),
        spent_title="Spend today" if is_daily else "Spend in current periods",
        denied=sum(row.denials.count for row in rows),
        is_denied_cut=any(row.denials.is_cut for row in rows),
        tenants_denied=sum(1 for row in rows if row.denials.count),
        exhausted=sum(1 for row in rows if row.state in {"Used up", "Over limit"}),
        near=sum(1 for row in rows if row.state == "Near cap"),
    )

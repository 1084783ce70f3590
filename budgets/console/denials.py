"""`/ops/denials/`: refused calls by tenant and cause; each count leads to the calls behind it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.tenant_rows import TENANTS_PER_PAGE
from budgets.console.wording import reason_words
from budgets.selectors.tenant_summaries import tenant_denials
from tenants.selectors.directory import TenantLine, directory_page

#: How far back a list may look, by its name in the URL.
SPANS: Final = {
    "1h": ("60 min", timedelta(hours=1)),
    "24h": ("24 h", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}
DEFAULT_SPAN: Final = "1h"


@dataclass(frozen=True, slots=True)
class DenialRow:
    tenant: TenantLine
    reason_code: str
    reason: str
    count: int
    is_cut: bool


@page(Act.SEE_PLATFORM)
def denial_list(request: HttpRequest) -> HttpResponse:
    within = span_of(request)
    words, span = SPANS[within]
    page = directory_page(after=request.GET.get("after", ""), limit=TENANTS_PER_PAGE)
    tenants = [tenant for tenant in page.tenants if tenant.has_books]
    found = tenant_denials([tenant.tag for tenant in tenants], since=datetime.now(UTC) - span)
    rows = [
        DenialRow(tenant, cause.reason_code, reason_words(cause.reason_code), cause.count, found[tenant.tag].is_cut)
        for tenant in tenants
        for cause in found[tenant.tag].causes
    ]
    context = {
        "section": "denials",
        "place": place_of(request),
        "within": within,
        "span": words,
        "spans": [(name, text) for name, (text, _) in SPANS.items()],
        "rows": sorted(rows, key=lambda row: (-row.count, row.tenant.slug, row.reason_code)),
        "next_after": page.next_after,
    }
    return render(request, "budgets/denial_list.html", context)


def span_of(request: HttpRequest) -> str:
    """The span named in the URL; an unknown one is the shortest."""
    within = request.GET.get("within", DEFAULT_SPAN)
    return within if within in SPANS else DEFAULT_SPAN

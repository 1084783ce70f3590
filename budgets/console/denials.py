"""`/ops/denials/`: refused calls by tenant and cause; each count leads to the calls behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.wording import reason_codes, reason_words
from budgets.selectors.denials import denied_across
from tenants.selectors.directory import TenantLine
from tenants.selectors.standing import Order, StandingLine, standing_page

#: How far back a list may look, by its name in the URL.
SPANS: Final = {
    "1h": ("60 min", timedelta(hours=1)),
    "24h": ("24 h", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}
DEFAULT_SPAN: Final = "1h"
_TENANTS_PER_PAGE: Final = 25


@dataclass(frozen=True, slots=True)
class DenialRow:
    tenant: TenantLine
    reason_code: str
    reason: str
    count: int


@page(Act.SEE_PLATFORM)
def denial_list(request: HttpRequest) -> HttpResponse:
    """The last hour from the worker's notes, in one query; longer spans from the sums of a page's tenants, in two."""
    within, now = span_of(request), datetime.now(UTC)
    words, span = SPANS[within]
    reason = request.GET.get("reason", "")
    reason = reason if reason in reason_codes() else ""
    is_hour = within == DEFAULT_SPAN
    found = standing_page(
        now=now,
        order=Order.DENIALS,
        denied_for=reason if is_hour else None,
        after=request.GET.get("after", "").replace("\0", ""),
        limit=_TENANTS_PER_PAGE,
    )
    lines = [line for line in found.lines if line.tenant.has_books]
    counts = (
        _noted(lines)
        if is_hour
        else denied_across([line.tenant.tag for line in lines], since=now - span, reason=reason)
    )
    rows = [
        DenialRow(line.tenant, code, reason_words(code), count)
        for line in lines
        for code, count in counts.get(line.tenant.tag, {}).items()
        if not reason or code == reason
    ]
    context = {
        "section": "denials",
        "place": place_of(request),
        "within": within,
        "span": words,
        "spans": [(name, text) for name, (text, _) in SPANS.items()],
        "reason": reason,
        "reasons": [(code, reason_words(code)) for code in reason_codes()],
        "rows": sorted(rows, key=lambda row: (-row.count, row.tenant.slug, row.reason_code)),
        "total": sum(row.count for row in rows),
        "next_after": found.next_after,
        "is_partial": bool(found.next_after or request.GET.get("after")),
    }
    return render(request, "budgets/denial_list.html", context)


def span_of(request: HttpRequest) -> str:
    """The span named in the URL; an unknown one is the shortest."""
    within = request.GET.get("within", DEFAULT_SPAN)
    return within if within in SPANS else DEFAULT_SPAN


def _noted(lines: Sequence[StandingLine]) -> dict[str, Mapping[str, int]]:
    return {line.tenant.tag: line.standing.denied_causes for line in lines if line.standing is not None}

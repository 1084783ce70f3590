"""`/ops/shadow/`: which tenants are in shadow mode, and how many of their calls would have been denied."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.selectors.shadow import shadow_across
from routing.console.acts import asked
from routing.console.shadow_words import SPANS, ShadowState, asked_span, shadow_state, span_context
from tenants.selectors.directory import TenantLine, directory_page

_TENANTS_PER_PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class ShadowRow:
    tenant: TenantLine
    state: ShadowState
    would_deny: int


@page(Act.SEE_PLATFORM)
def ops_shadow(request: HttpRequest) -> HttpResponse:
    now = datetime.now(UTC)
    span = asked_span(request)
    search = asked(request, "q", length_max=100)
    tenants = directory_page(search=search, after=asked(request, "after"), limit=_TENANTS_PER_PAGE)
    lines = [line for line in tenants.tenants if line.has_books]
    found = shadow_across([line.tag for line in lines], since=now - SPANS[span], until=now)
    context = {
        "section": "shadow",
        "place": place_of(request),
        "rows": [
            ShadowRow(line, shadow_state(seen.document, slug=line.slug, now=now), seen.would_deny)
            for line in lines
            for seen in [found[line.tag]]
        ],
        "next_after": tenants.next_after,
        "search": search,
        **span_context(span),
    }
    return render(request, "routing/ops_shadow.html", context)

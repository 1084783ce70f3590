"""`denials/` of one tenant: refused calls by cause; each count leads to the calls behind it. Also as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.denials import SPANS, span_of
from budgets.console.wording import decision_wire_id, reason_codes, reason_words
from budgets.selectors.decisions import recent_denials
from budgets.selectors.denials import denials
from kernel.pages.exports import csv_response
from kernel.pages.typed_amounts import plain_amount
from kernel.tenancy import in_tenant

_READ_AT_ONCE: Final = 1_000
_HEADS: Final = ("at", "decision", "call", "reason", "scope", "refused_by", "unit", "amount", "run", "key")


@page(Act.SEE_BOOKS)
def tenant_denial_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    within = span_of(request)
    words, span = SPANS[within]
    with in_tenant(place.tenant.tag):
        found = denials(since=datetime.now(UTC) - span)
    context = {
        "section": "denials" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "within": within,
        "span": words,
        "spans": [(name, text) for name, (text, _) in SPANS.items()],
        "causes": [(cause, reason_words(cause.reason_code)) for cause in found.causes],
        "is_cut": found.is_cut,
    }
    return render(request, "budgets/tenant_denial_list.html", context)


@page(Act.EXPORT)
def tenant_denial_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """All refused calls of the time that the URL names, of one cause where it names one."""
    tenant = place_of(request).tenant
    since = datetime.now(UTC) - SPANS[span_of(request)][1]
    reason = request.GET.get("reason", "")
    reason_code = reason if reason in reason_codes() else None

    def rows() -> Iterator[tuple[Any, ...]]:
        before = None
        while True:
            with in_tenant(tenant.tag):
                found = recent_denials(since=since, reason_code=reason_code, before=before, limit=_READ_AT_ONCE)
            for line in found.decisions:
                yield (
                    line.at,
                    decision_wire_id(tenant.tag, line),
                    line.endpoint,
                    line.reason_code,
                    line.scope_path,
                    line.failed_scope,
                    line.unit,
                    plain_amount(line.amount, line.unit or ""),
                    line.run_id,
                    line.api_key_id,
                )
            before = found.next_before
            if before is None:
                return

    return csv_response(f"denials-{tenant.slug}", _HEADS, rows())

"""Decisions of one tenant as a list, and the explanation of one."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.console.decision_rows import decision_rows
from budgets.console.denials import SPANS
from budgets.console.explanation import explain
from budgets.console.remedy_buttons import remedy_buttons
from budgets.console.wording import WOULD_DENY, endpoint_noun, reason_codes, reason_words, verdict_words
from budgets.selectors.decision_records import decision_record
from budgets.selectors.decisions import recent_decisions, recent_denials
from kernel.ids import Tag, mint_wire_id, parse_wire_id
from kernel.pages.fragments import wants_fragment
from kernel.tenancy import in_tenant

_DECISIONS_PER_PAGE: Final = 50


@page(Act.SEE_BOOKS)
def decision_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    is_denials = request.GET.get("verdict") == "deny"
    within = request.GET.get("within", "") if is_denials else ""
    within = within if within in SPANS else ""
    reason = request.GET.get("reason", "") if is_denials else ""
    reason = reason if reason in reason_codes() else ""
    before = None
    if cursor := request.GET.get("before"):
        parsed = parse_wire_id("dec", cursor)
        if parsed is None or parsed.tag != tenant.tag:
            raise Http404
        before = parsed.uuid
    with in_tenant(tenant.tag):
        if is_denials:
            since = datetime.now(UTC) - SPANS[within][1] if within else None
            page = recent_denials(since=since, reason_code=reason or None, before=before, limit=_DECISIONS_PER_PAGE)
        else:
            page = recent_decisions(before=before, limit=_DECISIONS_PER_PAGE)
    context = {
        "section": "denials" if not place.is_ops else "tenants",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "decisions": decision_rows(tenant.tag, page.decisions),
        "next_before": _cursor(tenant.tag, page.next_before) if page.next_before else "",
        "is_denials": is_denials,
        "within": within,
        "spans": [(name, text) for name, (text, _) in SPANS.items()],
        "reason": reason,
        "reasons": [(known, reason_words(known)) for known in reason_codes()],
        "is_filtered": bool(is_denials or before),
        "reserve": first_steps.reserve(tenant.slug),
    }
    return render(request, wants_fragment(request, "budgets/decision_list.html", "decisions"), context)


@page(Act.SEE_BOOKS)
def decision_detail(request: HttpRequest, slug: str, wire_id: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    parsed = parse_wire_id("dec", wire_id)
    if parsed is None or parsed.tag != tenant.tag:
        raise Http404
    with in_tenant(tenant.tag):
        record = decision_record(parsed.uuid)
        if record is None:
            raise Http404
        buttons = remedy_buttons(record, place)
    now = datetime.now(UTC)
    verdict, tone = verdict_words(record.verdict)
    context = {
        "section": "denials" if not place.is_ops else "tenants",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "wire_id": wire_id,
        "record": record,
        "noun": endpoint_noun(record.endpoint),
        "verdict": verdict,
        "tone": tone,
        "mark": WOULD_DENY if record.would_deny is not None else None,
        "reason": reason_words(record.reason_code or record.would_deny),
        "explanation": explain(record, time_zone=tenant.time_zone, now=now),
        "buttons": buttons,
        "hold_id": mint_wire_id("rsv", tenant.tag, record.hold.id) if record.hold else "",
    }
    return render(request, "budgets/decision_detail.html", context)


def _cursor(tag: Tag, decision_id: UUID) -> str:
    return mint_wire_id("dec", tag, decision_id)

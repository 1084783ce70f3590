"""`/ops/live/`: the tail of decisions, asked for again every two seconds.

Bounds. Without a tenant named, it is of the 24 tenants that the worker has visited last (it visits where something is
new, within seconds), and of each the newest 500 decisions are looked at, the newest 500 refusals where only those are
wanted; of one tenant, 5,000. All of it is one statement, however many tenants there are; with who reads and which
tenants, a refresh is four queries. A refresh that would show what is shown already answers 204.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.decision_rows import DecisionRow, decision_rows
from budgets.console.wording import reason_codes, reason_words
from budgets.selectors.tail import tail
from kernel.pages.fragments import wants_fragment
from tenants.selectors.activity import latest_active
from tenants.selectors.directory import TenantLine, tenant_by_slug

_TENANTS: Final = 24
_LINES: Final = 40
_VERDICTS: Final = (("", "All"), ("deny", "Denied"), ("allow", "Allowed"))
_LENGTH_MAX: Final = 63


@dataclass(frozen=True, slots=True)
class LiveRow:
    tenant: TenantLine
    row: DecisionRow


@page(Act.SEE_PLATFORM)
def live(request: HttpRequest) -> HttpResponse:
    """The page, or for htmx its part `tail`; 204 where nothing is newer than `seen`."""
    slug = request.GET.get("tenant", "").replace("\0", "").strip()[:_LENGTH_MAX]
    verdict = request.GET.get("verdict", "")
    verdict = verdict if verdict in dict(_VERDICTS) else ""
    reason = request.GET.get("reason", "")
    reason = reason if reason in reason_codes() else ""
    tenants = _tenants(slug)
    lines = tail([line.tag for line in tenants.values()], verdict=verdict, reason=reason, limit=_LINES)
    newest = lines[0].decision.id.hex if lines else ""
    template = wants_fragment(request, "operate/live.html", "tail")
    if template.endswith("#tail") and request.GET.get("seen") == (newest or "none"):
        return HttpResponse(status=204)
    query = urlencode({"tenant": slug, "verdict": verdict, "reason": reason})
    context = {
        "section": "live",
        "place": place_of(request),
        "now": datetime.now(UTC),
        "rows": [LiveRow(tenants[line.tag], decision_rows(line.tag, [line.decision])[0]) for line in lines],
        "slug": slug,
        "is_unknown": bool(slug) and not tenants,
        "verdict": verdict,
        "verdicts": _VERDICTS,
        "reason": reason,
        "reasons": [(code, reason_words(code)) for code in reason_codes()],
        "tenants_max": _TENANTS,
        "is_filtered": bool(verdict or reason),
        "is_paused": "paused" in request.GET,
        "query": query,
        "seen": newest or "none",
    }
    return render(request, template, context)


def _tenants(slug: str) -> dict[str, TenantLine]:
    """By tag: the one that was named, if it is there and has books, else those at work."""
    if slug:
        found = tenant_by_slug(slug)
        return {found.tag: found} if found and found.has_books else {}
    return {line.tag: line for line in latest_active(limit=_TENANTS)}

"""`/ops/evidence/`: which tenants send spans, and where one saw something of another."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console import first_steps
from budgets.selectors.across import TENANTS_MAX
from budgets.selectors.evidence_drift import TenantDrift, drift_across
from budgets.selectors.evidence_leaks import LeakLine, latest_leaks
from telemetry.evidence.kinds import SpanKind
from telemetry.findings.selectors.standing import StandingOfEvidence, standings_of_evidence, totals_of_evidence
from tenants.selectors.directory import TenantLine, tenants_by_tag

_TENANTS: Final = 50
_LEAKS: Final = 50
_DRIFT_OF: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class StandingRow:
    tenant: TenantLine
    standing: StandingOfEvidence
    drift: TenantDrift | None


@dataclass(frozen=True, slots=True)
class LeakRow:
    tenant: TenantLine
    leak: LeakLine
    kind: str


@page(Act.SEE_PLATFORM)
def platform_evidence(request: HttpRequest) -> HttpResponse:
    """Six queries. The leaks are of the 25 tenants that had one last, the drift of the 25 on top."""
    totals, standings = totals_of_evidence(), standings_of_evidence(limit=_TENANTS)
    tenants = tenants_by_tag([standing.tag for standing in standings])
    leaking = [each.tag for each in standings if each.leaks and each.tag in tenants][:TENANTS_MAX]
    leaks = latest_leaks(leaking, limit=_LEAKS)
    shown = [each for each in standings if each.tag in tenants]
    drifts = drift_across([each.tag for each in shown[:TENANTS_MAX]], since=datetime.now(UTC) - _DRIFT_OF)
    context = {
        "section": "evidence",
        "place": place_of(request),
        "totals": totals,
        "rows": [StandingRow(tenants[each.tag], each, drifts.get(each.tag)) for each in shown],
        "is_cut": len(standings) == _TENANTS,
        "first_step": first_steps.send_spans(),
        "leaks": [LeakRow(tenants[leak.tag], leak, SpanKind(leak.kind).label) for leak in leaks],
    }
    return render(request, "operate/evidence.html", context)

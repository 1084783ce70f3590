"""`/reconciliations/`: the ledger against what providers, agents' logs and spans say was used."""

from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.reconciling.calls import Finding, Source
from budgets.reconciling.table import HEADS, row_of
from budgets.selectors.invoice_files import has_invoice
from budgets.selectors.reconciliations import Reconciliation, latest_reconciliations, reconciliation
from kernel.pages.exports import csv_response
from kernel.tenancy import in_tenant

_LISTED: Final = 50
_SHOWN: Final = 200
_SOURCES: Final = {
    Source.INVOICE: "Provider's invoice",
    Source.SESSION_LOG: "Agents' session logs",
    Source.SPANS: "Evidence spans",
}
_FINDINGS: Final = {
    Finding.MISSING: ("Missing", "bad"),
    Finding.EXTRA: ("Extra", "warn"),
    Finding.DRIFT: ("Drift", "info"),
}


@page(Act.SEE_BOOKS)
def reconciliation_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        found = latest_reconciliations(limit=_LISTED)
    context = _context(place) | {"rows": [(each, _SOURCES[Source(each.source)], _gap(each)) for each in found]}
    return render(request, "budgets/reconciliation_list.html", context)


@page(Act.SEE_BOOKS)
def reconciliation_detail(request: HttpRequest, slug: str, reconciliation_id: UUID) -> HttpResponse:
    place = place_of(request)
    found = _found(place, reconciliation_id)
    with in_tenant(place.tenant.tag):
        has_file = has_invoice(found.digest)
    total = found.missing + found.extra + found.drift
    context = _context(place) | {
        "found": found,
        "source": _SOURCES[Source(found.source)],
        "gap": _gap(found),
        "total": total,
        "kept": len(found.differences),
        "rows": [_row(each) for each in found.differences[:_SHOWN]],
        "is_cut": total > _SHOWN,
        "has_file": has_file,
    }
    return render(request, "budgets/reconciliation_detail.html", context)


@page(Act.SEE_BOOKS)
def reconciliation_csv(request: HttpRequest, slug: str, reconciliation_id: UUID) -> HttpResponseBase:
    place = place_of(request)
    found = _found(place, reconciliation_id)
    name = f"reconciliation-{place.tenant.slug}-{found.at:%Y%m%d-%H%M}"
    return csv_response(name, HEADS, (row_of(each) for each in found.differences))


def _context(place: Place) -> dict[str, Any]:
    return {
        "section": "tenants" if place.is_ops else "statements",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }


def _found(place: Place, reconciliation_id: UUID) -> Reconciliation:
    with in_tenant(place.tenant.tag):
        found = reconciliation(reconciliation_id)
    if found is None:
        raise Http404
    return found


def _gap(found: Reconciliation) -> int:
    """What was observed less what is booked, in USD_MICROCENTS."""
    return int(found.observed["cost"]) - int(found.booked["cost"])


def _row(difference: dict[str, Any]) -> dict[str, Any]:
    word, tone = _FINDINGS[Finding(difference["finding"])]
    observed, booked = difference["cost"]
    return {
        **difference,
        "word": word,
        "tone": tone,
        "when": (difference["day"] or (difference["at"] or "")[:19].replace("T", " ")),
        "observed_cost": observed,
        "booked_cost": booked,
        "observed_tokens": _tokens(difference, 0),
        "booked_tokens": _tokens(difference, 1),
        "gap": (observed or 0) - (booked or 0),
    }


def _tokens(difference: dict[str, Any], side: int) -> str:
    """`1,000 + 200`, in and out; empty where a side says nothing."""
    known = [difference[name][side] for name in ("tokens_input", "tokens_output")]
    return " + ".join(f"{number or 0:,}" for number in known) if any(each is not None for each in known) else ""

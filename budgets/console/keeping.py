"""`…/keeping/`: for how long a tenant's rows are kept, who said so, and what the worker archived of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.console.keeping_forms import PLAN, KeepForm, keep_of
from budgets.console.stopping import BUSY, act_answer
from budgets.models import KeptKind
from budgets.selectors.keeping import KeptFrom, SaidDays
from budgets.services.keeping_terms import (
    DaysOutOfRange,
    KeepingChanged,
    days_min,
    drop_keeping,
    own_term,
    set_keeping,
)
from budgets.services.kept_rows import KeptRows, kept_rows
from kernel.pages.amounts import counted_text
from kernel.tenancy import in_tenant
from telemetry.archive_kinds import ArchiveKind
from tenants.selectors.keeping_visits import last_visit

KIND_WORDS: Final = {
    ArchiveKind.LEDGER: "Ledger entries under a seal",
    ArchiveKind.DECISIONS: "Decisions without effect: refusals, decide, dry runs",
    ArchiveKind.EVENTS: "Events that were handed out",
    ArchiveKind.AUDIT: "The audit trail",
    ArchiveKind.SPANS: "Spans of runtimes",
}


@dataclass(frozen=True, slots=True)
class KeepingRow:
    """One kind as the page shows it; `kind` is empty where the tenant may have no term of its own."""

    words: str
    kept: str
    origin: str
    is_own: bool
    least: str
    rows: KeptRows
    kind: str


def days_text(days: int | None) -> str:
    """`for ever`, `180 days`."""
    return "for ever" if days is None else counted_text(days, "day")


@page(Act.SEE_LIMITS)
def keeping(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    tag = place.tenant.tag
    rows = [_row(place, rows) for rows in kept_rows(tag)]
    context = _context(place) | {"rows": rows, "visit": last_visit(tag), "now": datetime.now(UTC)}
    return render(request, "budgets/keeping.html", context)


@page(Act.CHANGE_PLAN, send=Act.CHANGE_PLAN)
def keeping_edit(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Safe to repeat; what somebody else has changed since the form was shown is not written over."""
    place = place_of(request)
    if kind not in KeptKind:
        raise Http404
    kept = KeptKind(kind)
    (rows,) = (rows for rows in kept_rows(place.tenant.tag) if rows.kind == kind)
    otherwise, least = _said(place, rows.otherwise), days_min(kept)
    if request.method != "POST":
        with in_tenant(place.tenant.tag):
            term = own_term(kept)
        form = KeepForm(initial=keep_of(term), otherwise=otherwise, least=least)
        return _ask(request, place, rows, form)
    form = KeepForm(request.POST, otherwise=otherwise, least=least)
    if form.is_valid():
        try:
            is_changed = _change(place, kept, form)
        except DaysOutOfRange as error:
            form.add_error("days", str(error))
        except KeepingChanged as error:
            typed = request.POST.copy()
            typed["seen"] = str(error)
            form = KeepForm(typed, otherwise=otherwise, least=least)
            form.add_error(None, f"Since you looked somebody changed it to: {error}. Press again if you still mean it.")
        except OperationalError:
            form.add_error(None, BUSY)
        else:
            words = "It counts from the worker's next look on." if is_changed else "It was so already."
            messages.success(request, f"{KIND_WORDS[rows.kind]}: {words}")
            return redirect(place.url("keeping"))
    return _ask(request, place, rows, form)


def _change(place: Place, kind: KeptKind, form: KeepForm) -> bool:
    values = form.cleaned_data
    tag, actor, seen = place.tenant.tag, place.actor(values["reason"]), values["seen"]
    if values["keep"] == PLAN:
        return drop_keeping(tag=tag, kind=kind, actor=actor, seen=seen)
    return set_keeping(tag=tag, kind=kind, days=form.term, actor=actor, seen=seen)


def _ask(request: HttpRequest, place: Place, rows: KeptRows, form: KeepForm) -> HttpResponse:
    context = _context(place) | {
        "title": KIND_WORDS[rows.kind],
        "words": f"Kept now: {_said(place, SaidDays(rows.days, rows.origin))}. A shorter time counts from the worker's"
        " next look on: what is older goes into archive files and out of the tables, and does not come back.",
        "button": "Save",
        "back": place.url("keeping"),
    }
    return act_answer(request, place, context, form)


def _row(place: Place, rows: KeptRows) -> KeepingRow:
    is_editable = rows.can_differ and Act.CHANGE_PLAN in place.may
    return KeepingRow(
        words=_words(rows),
        kept=days_text(rows.days),
        origin=origin_text(place, rows.origin),
        is_own=rows.is_own,
        least=days_text(rows.days_min),
        rows=rows,
        kind=rows.kind.value if is_editable else "",
    )


def _words(rows: KeptRows) -> str:
    words = KIND_WORDS[rows.kind]
    if rows.kind == ArchiveKind.SPANS and settings.EVIDENCE_SAMPLE_PERCENT < 100:
        rest = f"{settings.EVIDENCE_SAMPLE_PERCENT} % of the traces without a failure or a leak"
        words += f"; after {days_text(rows.days_min)} only {rest}"
    return words


def _said(place: Place, said: SaidDays) -> str:
    return f"{days_text(said.days)}, by {origin_text(place, said.origin)}"


def origin_text(place: Place, origin: KeptFrom) -> str:
    """Who said for how long, in words for a page."""
    if origin is KeptFrom.TENANT:
        return "this tenant's own term"
    if origin is KeptFrom.PLAN:
        return f"plan {place.tenant.plan} v{place.tenant.plan_version}"
    return "the installation"


def _context(place: Place) -> dict[str, object]:
    return {
        "section": "limits",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }

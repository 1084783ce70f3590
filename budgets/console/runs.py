"""`runs/`: what agents did, run by run; of one run what became of it, what it has left, and its ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.run_words import entry_words, limit_lines, run_summary, state_words
from budgets.console.wording import decision_wire_id, path_within_tenant, reason_words
from budgets.selectors.run_ledgers import RunLedger, run_ledger
from budgets.selectors.run_lines import RunFilter, RunState, run_line, run_page
from kernel.ids import Tag
from kernel.pages.exports import csv_response
from kernel.pages.fragments import wants_fragment
from kernel.pages.typed_amounts import plain_amount
from kernel.tenancy import in_tenant

_RUNS_PER_PAGE: Final = 50
ENTRIES_SHOWN: Final = 200
_HEADS: Final = ("seq", "at", "entry", "step", "scope", "unit", "held", "spent", "released", "left")


@page(Act.SEE_BOOKS)
def run_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    now = datetime.now(UTC)
    asked = {name: request.GET.get(name, "").replace("\0", "").strip()[:128] for name in ("state", "agent", "day")}
    since, until = _day(asked["day"], place.tenant.time_zone)
    wanted = RunFilter(
        state=RunState(asked["state"]) if asked["state"] in RunState else None,
        agent=asked["agent"].lower(),
        since=since,
        until=until,
    )
    before = request.GET.get("before", "").replace("\0", "") or None
    with in_tenant(place.tenant.tag):
        found = run_page(wanted, now=now, before=before, limit=_RUNS_PER_PAGE)
    filters = {name: text for name, text in asked.items() if text}
    context = {
        "section": "runs" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "rows": [(run, *state_words(run)) for run in found.runs],
        "states": [(state.value, state.value.capitalize()) for state in RunState],
        "asked": asked,
        "is_filtered": bool(filters or before),
        "next_query": urlencode(filters | {"before": found.next_before}) if found.next_before else "",
    }
    return render(request, wants_fragment(request, "budgets/run_list.html", "runs"), context)


@page(Act.SEE_BOOKS)
def run_detail(request: HttpRequest, slug: str, run_id: str) -> HttpResponse:
    place = place_of(request)
    now = datetime.now(UTC)
    _require_text(run_id)
    with in_tenant(place.tenant.tag):
        ledger = run_ledger(run_id)
        run, limits = run_line(run_id, now=now) or (None, {})
    if ledger is None and run is None:
        raise Http404
    context = {
        "section": "runs" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "run_id": run_id,
        "run": run,
        "state": state_words(run) if run else None,
        "summary": run_summary(run, ledger, time_zone=place.tenant.time_zone, now=now),
        "limits": limit_lines(run, ledger, limits),
        **_ledger_context(place.tenant.tag, ledger),
    }
    return render(request, "budgets/run_detail.html", context)


@page(Act.SEE_BOOKS)
def run_entries(request: HttpRequest, slug: str, run_id: str) -> HttpResponse:
    """The run's ledger alone: what a decision's page fetches once it is there."""
    tenant = place_of(request).tenant
    _require_text(run_id)
    with in_tenant(tenant.tag):
        ledger = run_ledger(run_id)
    context = {
        "place": place_of(request),
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "run_id": run_id,
        "show_run_link": True,
        **_ledger_context(tenant.tag, ledger),
    }
    return render(request, "budgets/run_ledger.html", context)


@page(Act.EXPORT)
def run_export(request: HttpRequest, slug: str, run_id: str) -> StreamingHttpResponse:
    """The whole ledger of the run."""
    tenant = place_of(request).tenant
    _require_text(run_id)
    with in_tenant(tenant.tag):
        ledger = run_ledger(run_id)
    if ledger is None:
        raise Http404

    def rows() -> Iterator[tuple[Any, ...]]:
        for line in ledger.entries:
            amounts = [plain_amount(amount, line.unit) for amount in (line.held, line.spent, line.released, line.left)]
            yield (line.seq, line.at, line.kind, line.step, line.scope_path, line.unit, *amounts)

    return csv_response(f"run-{run_id[:80]}", _HEADS, rows())


def _ledger_context(tag: Tag, ledger: RunLedger | None) -> dict[str, Any]:
    """What the table of a run's ledger shows: its entries and refused calls, the newest first."""
    if ledger is None:
        return {"ledger": None, "ledger_rows": []}
    rows: list[dict[str, Any]] = [
        {"at": line.at, "words": entry_words(line.kind), "line": line, "step": line.step} for line in ledger.entries
    ]
    rows += [
        {
            "at": denial.at,
            "denial": denial,
            "reason": reason_words(denial.reason_code),
            "scope": path_within_tenant(denial.failed_scope or denial.scope_path or ""),
            "wire_id": decision_wire_id(tag, denial),
        }
        for denial in ledger.denials
    ]
    rows.sort(key=lambda row: row["at"], reverse=True)
    return {"ledger": ledger, "ledger_rows": rows[:ENTRIES_SHOWN], "is_ledger_long": len(rows) > ENTRIES_SHOWN}


def _require_text(run_id: str) -> None:
    if "\0" in run_id:
        raise Http404


def _day(text: str, time_zone: str) -> tuple[datetime | None, datetime | None]:
    """From midnight to midnight of a day like `2026-11-22`, in the tenant's zone; None for anything else."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a date has no zone
    except ValueError:
        return None, None
    zone = ZoneInfo(time_zone)
    if not 2000 <= day.year <= 9000:
        return None, None
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)

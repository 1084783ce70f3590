"""`…/audit/`: who did what, why and what changed; of one tenant, or of the platform. Search, pages and files."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.keys.selectors.key_lines import key_names
from accounts.roles import Act
from kernel.money import Unit
from kernel.pages.amounts import exact_amount_text
from kernel.pages.exports import csv_response, json_lines_response
from kernel.pages.fragments import wants_fragment
from kernel.tenancy import in_public, in_tenant
from telemetry.selectors.trail import TrailFilter, TrailLine, TrailPage, trail_page

_LINES_PER_PAGE: Final = 50
_LINES_A_READ: Final = 1_000
_LENGTH_MAX: Final = 200
_CHANGE_LENGTH_MAX: Final = 400
_FIELDS: Final = ("actor", "action", "target", "reason", "reference", "from", "to")
#: What `form` may say of a file; everything else is CSV.
_JSON_LINES: Final = "jsonl"
#: Facts that are amounts in the unit of their entry. The file has them as they are booked.
_AMOUNTS: Final = frozenset(
    {"allocated", "remaining", "reserved", "spent", "debt", "overdraft_limit", "amount", "period_allocation"}
)
_HEADS: Final = (
    *("at", "actor", "actor_type", "action", "target", "reason", "before", "after", "source_ip"),
    *("request_id", "trace_id", "id", "key_name", "target_name"),
)

type _Books = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class TrailRow:
    """An entry, with the names of the keys that acted and were acted on, where they have names."""

    line: TrailLine
    key_name: str
    target_name: str

    @property
    def changes(self) -> str:
        """What changed, as short text."""
        return _changes(self.line.before, self.line.after, unit=_unit_of(self.line))


@page(Act.SEE_AUDIT)
def audit(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    addresses = {"here": place.url("audit"), "export": place.url("audit_export")}
    more = {"tenant": place.tenant, "time_zone": place.tenant.time_zone}
    return _list(request, place, books=lambda: in_tenant(place.tenant.tag), context=addresses | more)


@page(Act.SEE_AUDIT)
def platform_audit(request: HttpRequest) -> HttpResponse:
    addresses = {"here": reverse("ops:audit"), "export": reverse("ops:audit_export")}
    return _list(request, place_of(request), books=in_public, context=addresses | {"time_zone": "UTC"})


@page(Act.EXPORT)
def audit_export(request: HttpRequest, slug: str) -> HttpResponseBase:
    place = place_of(request)
    tenant = place.tenant
    wanted = filter_of(request.GET, time_zone=tenant.time_zone)
    rows = _all_rows(wanted, books=lambda: in_tenant(tenant.tag), and_platform=place.is_ops)
    return _file(request, f"audit-{tenant.slug}", rows)


@page(Act.EXPORT)
def platform_audit_export(request: HttpRequest) -> HttpResponseBase:
    return _file(request, "audit", _all_rows(filter_of(request.GET, time_zone="UTC"), books=in_public))


def filter_of(query: QueryDict, *, time_zone: str) -> TrailFilter:
    """What the address says; days are whole ones in the time zone, both included. What is no day does not narrow."""
    words = {name: query.get(name, "").replace("\0", "").strip()[:_LENGTH_MAX] for name in _FIELDS}
    last = _day(words["to"])
    return TrailFilter(
        actor=words["actor"],
        action=words["action"],
        target=words["target"],
        reason=words["reason"],
        reference=words["reference"],
        since=_midnight(_day(words["from"]), time_zone),
        until=_midnight(last + timedelta(days=1) if last and last < date.max else None, time_zone),
    )


def _list(request: HttpRequest, place: Place, *, books: _Books, context: Mapping[str, Any]) -> HttpResponse:
    wanted = filter_of(request.GET, time_zone=context["time_zone"])
    with books():
        found = trail_page(wanted, before=request.GET.get("before", ""), limit=_LINES_PER_PAGE)
        rows = _rows(found, and_platform=place.is_ops and place.tenant is not None)
    shared = {
        "section": "audit",
        "place": place,
        "rows": rows,
        "asked": {name.replace("from", "since"): request.GET.get(name, "") for name in _FIELDS},
        "query": urlencode({name: request.GET[name] for name in _FIELDS if request.GET.get(name)}),
        "is_filtered": wanted != TrailFilter() or "before" in request.GET,
        "next_before": found.next_before,
    }
    return render(request, wants_fragment(request, "tenants/audit.html", "trail"), {**shared, **context})


def _rows(found: TrailPage, *, and_platform: bool) -> list[TrailRow]:
    """With names: a tenant reads those of its own keys, an operator the platform's too. In the page's books."""
    names = key_names({word for line in found.lines for word in (line.actor, line.target)}, and_platform=and_platform)
    return [TrailRow(line, names.get(line.actor, ""), names.get(line.target, "")) for line in found.lines]


def _all_rows(wanted: TrailFilter, *, books: _Books, and_platform: bool = False) -> Iterator[TrailRow]:
    before = ""
    while True:
        # The connection is in these books only while a page is read: the answer is sent meanwhile.
        with books():
            found = trail_page(wanted, before=before, limit=_LINES_A_READ)
            rows = _rows(found, and_platform=and_platform)
        yield from rows
        if not found.next_before:
            return
        before = found.next_before


def _file(request: HttpRequest, name: str, rows: Iterator[TrailRow]) -> HttpResponseBase:
    """What was done as it is told, the newest first: with JSON lines `before` and `after` are objects."""
    if request.GET.get("form") == _JSON_LINES:
        return json_lines_response(name, (dict(zip(_HEADS, _cells(row), strict=True)) for row in rows))
    return csv_response(name, _HEADS, ([_plain_cell(value) for value in _cells(row)] for row in rows))


def _cells(row: TrailRow) -> list[object]:
    line = row.line
    who = [line.at.astimezone(UTC), line.actor, line.actor_type]
    what = [line.action, line.target, line.reason, line.before, line.after]
    whence = [line.source_ip, line.request_id, line.trace_id, str(line.id)]
    return [*who, *what, *whence, row.key_name, row.target_name]


def _plain_cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, Mapping) else value


def _unit_of(line: TrailLine) -> str:
    """The unit of the entry's amounts: it says so itself, or its target ends with it, as a budget's does."""
    named = (line.after or line.before or {}).get("unit") or line.target.rpartition(" ")[2]
    return str(named) if named in set(Unit) else ""


def _changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, *, unit: str = "") -> str:
    """One line for people, of what is not as it was: `status ACTIVE → SUSPENDED, holds_released 3`."""
    known, now = before or {}, after or {}
    pieces = [_change(name, known.get(name), now.get(name), unit=unit) for name in {**known, **now}]
    words = ", ".join(piece for piece in pieces if piece)
    return words if len(words) <= _CHANGE_LENGTH_MAX else words[:_CHANGE_LENGTH_MAX] + "…"


def _change(name: str, was: object, now: object, *, unit: str) -> str:
    if was == now or now is None:
        return ""
    in_unit = unit if name in _AMOUNTS else ""
    text = _plain(now, unit=in_unit)
    return f"{name} {text}" if was is None else f"{name} {_plain(was, unit=in_unit)} → {text}"


def _plain(value: object, *, unit: str = "") -> str:
    if unit and isinstance(value, int) and not isinstance(value, bool):
        return exact_amount_text(value, unit)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(on: date | None, time_zone: str) -> datetime | None:
    # The first and the last year have no midnight in every zone.
    if on is None or not 1900 <= on.year <= 9000:
        return None
    return datetime.combine(on, time(), ZoneInfo(time_zone)).astimezone(UTC)

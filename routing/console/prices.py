"""`/ops/prices/`: the price book on any day, a model's history, and what an import proposes."""

from datetime import UTC, date, datetime, time
from typing import Final

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from kernel.pages.exports import csv_response
from routing.console.acts import asked, wants_csv
from routing.console.price_rows import PriceRow, difference_row, price_row
from routing.models import Layer, PriceVersion
from routing.selectors.price_pages import (
    PriceFilter,
    every_price,
    price_page,
    proposal_count,
    proposal_page,
    proposals_of,
    providers,
    waiting_by_provider,
)
from routing.selectors.prices import price_versions
from routing.services.price_differences import differences_of

_PER_PAGE: Final = 50
_IMPORT: Final = "uv run manage.py import_prices"
_HEADS: Final = (
    *("provider", "model", "layer", "input", "output", "cache_read", "per_call", "long_context_from"),
    *("context_window", "since", "until", "source", "source_version", "version_id"),
)


@page(Act.SEE_PLATFORM)
def price_list(request: HttpRequest) -> HttpResponseBase:
    now = datetime.now(UTC)
    on = _day(asked(request, "on"))
    layer = asked(request, "layer")
    wanted = PriceFilter(
        at=now if on is None else datetime.combine(on, time(23, 59, 59), UTC),
        search=asked(request, "q", length_max=100).lower(),
        provider=asked(request, "provider", length_max=100).lower(),
        layer=Layer(layer) if layer in Layer.values else None,
    )
    if wants_csv(request):
        return csv_response("prices", _HEADS, map(_csv_row, every_price(wanted)))
    page = price_page(wanted, after=asked(request, "after"), limit=_PER_PAGE)
    waiting = waiting_by_provider()
    context = {
        "section": "prices",
        "place": place_of(request),
        "rows": [price_row(version) for version in page.versions],
        "next_after": page.next_after,
        "wanted": wanted,
        "on": on.isoformat() if on else "",
        "providers": providers(),
        "layers": Layer.choices,
        "is_filtered": bool(wanted.search or wanted.provider or wanted.layer or on),
        "waiting": sum(each.versions for each in waiting),
        "first_step": _IMPORT,
    }
    return render(request, "routing/price_list.html", context)


@page(Act.SEE_PLATFORM)
def price_history(request: HttpRequest) -> HttpResponseBase:
    """Every version of one model's price in every layer, with who decided."""
    provider, model = asked(request, "provider").lower(), asked(request, "model", length_max=512).lower()
    if not provider or not model:
        return redirect("ops:price_list")
    versions = price_versions(provider=provider, model=model)
    if not versions:
        raise Http404
    if wants_csv(request):
        heads = (*_HEADS, "status", "decided_at", "decided_by")
        rows = ((*_csv_row(each), each.status, each.decided_at, each.decided_by) for each in versions)
        return csv_response(f"prices-{provider}-{model.replace('/', '-')}", heads, rows)
    context = {
        "section": "prices",
        "place": place_of(request),
        "provider": provider,
        "model": model,
        "aliases": versions[0].aliases,
        "rows": sorted(map(price_row, versions), key=_since, reverse=True),
    }
    return render(request, "routing/price_history.html", context)


@page(Act.SEE_PLATFORM)
def price_proposals(request: HttpRequest) -> HttpResponseBase:
    """What waits for a decision, each with what it would change."""
    now = datetime.now(UTC)
    provider = asked(request, "provider", length_max=100).lower()
    search = asked(request, "q", length_max=100).lower()
    if wants_csv(request):
        found = differences_of(proposals_of(provider=provider, search=search), now=now)
        heads = ("provider", "model", "is_new", "changes", "since", "until", "source", "notes", "version_id")
        rows = (
            (row.provider, row.model, row.is_new, row.changes, row.since, row.until, row.source, row.notes, row.id)
            for row in map(difference_row, found)
        )
        return csv_response("price-proposals", heads, rows)
    page = proposal_page(provider=provider, search=search, after=asked(request, "after"), limit=_PER_PAGE)
    waiting = waiting_by_provider()
    context = {
        "section": "prices",
        "place": place_of(request),
        "rows": [difference_row(each) for each in differences_of(page.versions, now=now)],
        "next_after": page.next_after,
        "waiting": waiting,
        "count": proposal_count(provider=provider, search=search),
        "provider": provider,
        "search": search,
        "first_step": _IMPORT,
    }
    return render(request, "routing/price_proposals.html", context)


def _csv_row(version: PriceVersion) -> tuple[object, ...]:
    row = price_row(version)
    return (
        *(row.provider, row.model, row.layer, row.input, row.output, row.cached),
        *(version.per_call, version.long_context_from, row.context_window),
        *(row.since, row.until, version.source, version.source_version, row.id),
    )


def _since(row: PriceRow) -> datetime:
    """By when a price began; one that holds since ever began before all others."""
    return row.since or datetime.min.replace(tzinfo=UTC)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None

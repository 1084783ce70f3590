"""Going somewhere by name: pages, tenants, and the ids that errors and logs carry. In a dialog by Ctrl K."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from kernel.ids import parse_wire_id
from kernel.pages.fragments import wants_fragment
from kernel.pages.navigation import BOOKS_NAVIGATION, OPS_NAVIGATION, lines_with_addresses
from tenants.selectors.directory import directory_page, tenant_by_tag

TENANTS_MAX: Final = 8
_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A place to go to. `kind` says in a word what it is."""

    kind: str
    words: str
    address: str


@page(Act.SEE_PLATFORM)
def platform_search(request: HttpRequest) -> HttpResponse:
    """Over the operators' pages, every tenant and every id."""
    return _answer(request, reverse("ops:search"))


@page(Act.SEE_BOOKS)
def tenant_search(request: HttpRequest, slug: str) -> HttpResponse:
    """Over one tenant's pages, its decisions and runs."""
    return _answer(request, place_of(request).url("search"))


def _answer(request: HttpRequest, action: str) -> HttpResponse:
    place = place_of(request)
    search = request.GET.get("q", "").replace("\0", "").strip()[:_LENGTH_MAX]
    exact = _decision(place, search)
    if exact and not request.htmx:  # type: ignore[attr-defined]  # set by its middleware
        return redirect(exact.address)
    found = [exact] if exact else [*_pages(place, search), *_tenants(place, search), *_runs(place, search)]
    context = {
        "section": "search",
        "place": place,
        "tenant": place.tenant,
        "action": action,
        "search": search,
        "found": found,
    }
    return render(request, wants_fragment(request, "tenants/search.html", "found"), context)


def _decision(place: Place, search: str) -> Found | None:
    """The decision with exactly this id, where it is the reader's to see."""
    wire_id = parse_wire_id("dec", search)
    if wire_id is None:
        return None
    if not place.is_ops:
        is_own = wire_id.tag == place.tenant.tag
        return Found("Decision", search, place.url("decision_detail", search)) if is_own else None
    tenant = tenant_by_tag(wire_id.tag)
    if tenant is None or not tenant.has_books:
        return None
    return Found("Decision", search, reverse("ops_books:decision_detail", args=[tenant.slug, search]))


def _pages(place: Place, search: str) -> Iterator[Found]:
    on_platform = place.is_ops and place.tenant is None
    for group in OPS_NAVIGATION if on_platform else BOOKS_NAVIGATION:
        address_of = _ops_address if on_platform else place.url
        for line, address in lines_with_addresses(group, address_of=address_of):
            if search.lower() in line.words.lower():
                yield Found("Page", line.words, address)


def _tenants(place: Place, search: str) -> Iterator[Found]:
    if not place.is_ops or place.tenant or not search:
        return
    for tenant in directory_page(search=search, limit=TENANTS_MAX).tenants:
        if tenant.has_books:
            words = f"{tenant.name} ({tenant.slug})" if tenant.name else tenant.slug
            yield Found("Tenant", words, reverse("ops_books:overview", args=[tenant.slug]))


def _runs(place: Place, search: str) -> Iterator[Found]:
    """Run ids are the callers' own, so what was typed may be one; its page says if it is none."""
    if place.tenant is None or not search or " " in search:
        return
    try:
        yield Found("Run", search, place.url("run_detail", search))
    except NoReverseMatch:
        return


def _ops_address(name: str) -> str:
    return reverse(f"ops:{name}")

"""The price book a page at a time, and what waits for a decision."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from kernel.tenancy import in_public
from routing.models import Layer, PriceStatus, PriceVersion

_STEP: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFilter:
    """Approved prices in force `at`, of models whose name contains `search`; empty: of all."""

    at: datetime
    search: str = ""
    provider: str = ""
    layer: Layer | None = None


@dataclass(frozen=True, slots=True)
class PricePage:
    """`next_after` is the cursor to ask from for the next page, None on the last one."""

    versions: tuple[PriceVersion, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Undecided proposals of one provider."""

    provider: str
    versions: int
    models: int


def price_page(wanted: PriceFilter, *, after: str = "", limit: int) -> PricePage:
    """By provider, model and layer, behind the cursor `after`. One query."""
    return _page(_book(wanted), after, limit)


def every_price(wanted: PriceFilter) -> Iterator[PriceVersion]:
    """All of them, read in steps."""
    after: str | None = ""
    while after is not None:
        page = price_page(wanted, after=after, limit=_STEP)
        yield from page.versions
        after = page.next_after


def proposal_page(*, provider: str = "", search: str = "", after: str = "", limit: int) -> PricePage:
    """What waits for a decision, by provider and model. One query."""
    return _page(_proposed(provider, search), after, limit)


def waiting_by_provider() -> list[Waiting]:
    """Where proposals wait, by provider. One query."""
    with in_public():
        rows = PriceVersion.objects.filter(status=PriceStatus.PROPOSED).values_list("provider")
        counts = rows.annotate(versions=Count("pk"), models=Count("model", distinct=True)).order_by("provider")
        return [Waiting(provider, versions, models) for provider, versions, models in counts]


def proposal_count(*, provider: str = "", search: str = "") -> int:
    with in_public():
        return _proposed(provider, search).count()


def proposals_of(*, ids: Iterable[UUID] = (), provider: str = "", search: str = "") -> list[PriceVersion]:
    """Undecided proposals by their ids, or all that a filter finds. One query."""
    wanted = list(ids)
    found = _proposed("", "").filter(pk__in=wanted) if wanted else _proposed(provider, search)
    with in_public():
        return list(found.order_by("provider", "model", "pk"))


def approved_of(versions: Iterable[PriceVersion]) -> list[PriceVersion]:
    """What is approved for the models of these versions, in the list's layer. One query."""
    names = {(version.provider, version.model) for version in versions}
    with in_public():
        rows = PriceVersion.objects.filter(
            status=PriceStatus.APPROVED,
            layer=Layer.LIST,
            provider__in={provider for provider, _ in names},
            model__in={model for _, model in names},
        )
        return [row for row in rows if (row.provider, row.model) in names]


def providers() -> list[str]:
    """Whose prices are approved. One query."""
    with in_public():
        rows = PriceVersion.objects.filter(status=PriceStatus.APPROVED).order_by("provider")
        return list(rows.values_list("provider", flat=True).distinct())


def _book(wanted: PriceFilter) -> QuerySet[PriceVersion]:
    found = PriceVersion.objects.filter(status=PriceStatus.APPROVED, effective__contains=wanted.at)
    if wanted.provider:
        found = found.filter(provider=wanted.provider)
    if wanted.search:
        found = found.filter(Q(model__icontains=wanted.search) | Q(aliases__icontains=wanted.search))
    if wanted.layer is not None:
        found = found.filter(layer=wanted.layer)
    return found


def _proposed(provider: str, search: str) -> QuerySet[PriceVersion]:
    found = PriceVersion.objects.filter(status=PriceStatus.PROPOSED)
    if provider:
        found = found.filter(provider=provider)
    if search:
        found = found.filter(model__icontains=search)
    return found


def _page(found: QuerySet[PriceVersion], after: str, limit: int) -> PricePage:
    """`after` is the id of the last version of the page before; ids decide among versions of one model."""
    with in_public():
        last = _last(after)
        if last is not None:
            found = found.filter(
                Q(provider__gt=last.provider)
                | Q(provider=last.provider, model__gt=last.model)
                | Q(provider=last.provider, model=last.model, pk__gt=last.pk)
            )
        rows = list(found.order_by("provider", "model", "pk")[: limit + 1])
    is_cut = len(rows) > limit
    return PricePage(tuple(rows[:limit]), str(rows[limit - 1].pk) if is_cut else None)


def _last(after: str) -> PriceVersion | None:
    try:
        return PriceVersion.objects.filter(pk=UUID(after)).first() if after else None
    except ValueError:
        return None

"""The price book as the database has it. Every reading is of one moment: a call costs what it cost at its own time."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db.models import Q

from kernel.tenancy import in_public
from routing.models import Layer, PriceMultiplier, PriceStatus, PriceVersion
from routing.pricing.book import ANY, TOOL_PROVIDER, PriceBook, layer_of
from routing.pricing.names import names_of
from routing.pricing.price import Price, PriceSource
from routing.pricing.sellers import Sellers, sellers_of

_SOURCES: Final = {
    Layer.LIST: PriceSource.LIST,
    Layer.PLATFORM: PriceSource.PLATFORM,
    Layer.CONTRACT: PriceSource.CONTRACT,
}


def price_book(*, at: datetime, tag: str = "") -> PriceBook:
    """Everything that has a price at the moment `at`, as the tenant `tag` is charged. Two queries."""
    return _book(_in_force(at, tag), at=at, tag=tag)


def model_prices(
    *, models: Iterable[tuple[str, str]], at: datetime, tag: str = "", with_tools: bool = False
) -> PriceBook:
    """As `price_book`, with what concerns some models, as (provider, model), and the runtimes' tools `with_tools`.

    Two queries, however large the book is.
    """
    wanted = Q(provider=ANY) | (Q(provider=TOOL_PROVIDER) if with_tools else Q())
    for provider, model in models:
        names = list(names_of(model))
        wanted |= Q(provider=provider.lower()) & (Q(model__in=names) | Q(aliases__overlap=names))
    return _book(_in_force(at, tag) & wanted, at=at, tag=tag)


def model_sellers(*, tag: str) -> Sellers:
    """Who sells which model, to the tenant `tag` as to all, whenever its price is in force. One query."""
    with in_public():
        rows = (
            PriceVersion.objects.filter(tenant_tag__in=["", tag])
            .exclude(provider__in=[ANY, TOOL_PROVIDER])
            .exclude(status=PriceStatus.REJECTED)
            .values_list("provider", "model", "aliases", "status")
            .distinct()
        )
        return sellers_of(
            (provider, model, aliases, status == PriceStatus.APPROVED) for provider, model, aliases, status in rows
        )


def tenants_repriced(*, since: datetime, until: datetime) -> set[str]:
    """Whose prices began or ended after `since` and by `until`, as tags; the empty tag stands for all tenants."""
    turned = Q(effective__startswith__gt=since, effective__startswith__lte=until) | Q(
        effective__endswith__gt=since, effective__endswith__lte=until
    )
    with in_public():
        prices = PriceVersion.objects.filter(turned, status=PriceStatus.APPROVED).values_list("tenant_tag", flat=True)
        multipliers = PriceMultiplier.objects.filter(turned).values_list("tenant_tag", flat=True)
        return {*prices.distinct(), *multipliers.distinct()}


def price_versions(*, provider: str, model: str) -> list[PriceVersion]:
    """Every version of a model's price in every layer, the latest proposed first."""
    with in_public():
        rows = PriceVersion.objects.filter(provider=provider.lower(), model=model.lower())
        return list(rows.order_by("-proposed_at", "-effective"))


def proposals(*, providers: Iterable[str] = (), models: Iterable[str] = ()) -> list[PriceVersion]:
    """What waits for a decision, by name and date; of some providers or models only, when given."""
    with in_public():
        rows = PriceVersion.objects.filter(status=PriceStatus.PROPOSED)
        if names := [name.lower() for name in providers]:
            rows = rows.filter(provider__in=names)
        if names := [name.lower() for name in models]:
            rows = rows.filter(model__in=names)
        return list(rows.order_by("provider", "model", "effective"))


def _in_force(at: datetime, tag: str) -> Q:
    return Q(status=PriceStatus.APPROVED, effective__contains=at, tenant_tag__in=["", tag])


def _book(rows: Q, *, at: datetime, tag: str) -> PriceBook:
    layers: defaultdict[PriceSource, list[Price]] = defaultdict(list)
    with in_public():
        for version in PriceVersion.objects.filter(rows).order_by("provider", "model"):
            layers[_SOURCES[Layer(version.layer)]].append(price_of(version))
        multipliers = PriceMultiplier.objects.filter(tenant_tag=tag, effective__contains=at)
        return PriceBook(
            layers={source: layer_of(prices) for source, prices in layers.items()},
            multipliers={multiplier.provider: multiplier.ppm for multiplier in multipliers},
        )


def price_of(version: PriceVersion) -> Price:
    """The version as a price. Its `version` is the row's id."""
    return Price(
        provider=version.provider,
        model=version.model,
        source=_SOURCES[Layer(version.layer)],
        version=str(version.pk),
        rates=version.rates,
        long_context_from=version.long_context_from,
        per_call=version.per_call,
        tool_fees=version.tool_fees,
        effective_from=version.effective.lower,
        effective_until=version.effective.upper,
        context_window=version.context_window,
        aliases=tuple(version.aliases),
    )

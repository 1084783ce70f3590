"""The price book at one moment for one tenant, and which of its layers wins."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from routing.pricing.fallback import FALLBACK_PRICE
from routing.pricing.names import names_of
from routing.pricing.price import Price, PriceSource

#: The provider and the model under which a platform or a contract keeps a fallback price of its own.
ANY: Final = "*"
#: The provider under which the prices of tools that runtimes run are kept, a tool's name being the model's.
TOOL_PROVIDER: Final = "tool"

type Key = tuple[str, str]


class ModelUnknown(Exception):
    """No approved price is in force for the model; it is not free, it is refused."""

    def __init__(self, *, provider: str, model: str) -> None:
        super().__init__(f"{provider}:{model} has no price.")
        self.provider = provider
        self.model = model


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """`layers` has the prices in force by source, `multipliers` parts per million by provider, `""` for all."""

    layers: Mapping[PriceSource, Mapping[Key, Price]]
    multipliers: Mapping[str, int]

    def price(self, *, provider: str, model: str) -> Price:
        """What the tenant is charged: contract, else multiplier on platform or list, else platform, else list.

        Raises `ModelUnknown`.
        """
        contract = self._find(PriceSource.CONTRACT, provider, model)
        if contract is not None:
            return contract
        base = self._find(PriceSource.PLATFORM, provider, model) or self._find(PriceSource.LIST, provider, model)
        if base is None:
            raise ModelUnknown(provider=provider, model=model)
        ppm = self.multipliers.get(provider.lower(), self.multipliers.get(""))
        return base if ppm is None else base.times(ppm)

    def price_or_fallback(self, *, provider: str, model: str) -> Price:
        """As `price`, for what was already spent: an unknown model costs the fallback, which says that it is one."""
        try:
            return self.price(provider=provider, model=model)
        except ModelUnknown:
            return replace(self._fallback(), provider=provider, model=model, source=PriceSource.FALLBACK)

    def provider_cost(self, *, provider: str, model: str) -> Price:
        """What the call costs us: the list's price, whatever the tenant is charged; else as `price_or_fallback`."""
        listed = self._find(PriceSource.LIST, provider, model)
        return listed or self.price_or_fallback(provider=provider, model=model)

    def models(self) -> Iterator[tuple[Key, Price]]:
        """Every model with a price, with the price that the tenant is charged; tools and fallbacks are none."""
        keys = {key for layer in self.layers.values() for key in layer if key[0] not in {ANY, TOOL_PROVIDER}}
        for provider, model in sorted(keys):
            yield (provider, model), self.price(provider=provider, model=model)

    def tools(self) -> Mapping[str, int]:
        """The fees of runtimes' tools, USD_MICROCENTS a call, by the tool's name."""
        names = {model for layer in self.layers.values() for provider, model in layer if provider == TOOL_PROVIDER}
        return {name: self.price(provider=TOOL_PROVIDER, model=name).per_call for name in sorted(names)}

    def _find(self, source: PriceSource, provider: str, model: str) -> Price | None:
        layer = self.layers.get(source, {})
        return next((layer[key] for name in names_of(model) if (key := (provider.lower(), name)) in layer), None)

    def _fallback(self) -> Price:
        layers = (PriceSource.CONTRACT, PriceSource.PLATFORM)
        own = (self.layers.get(source, {}).get((ANY, ANY)) for source in layers)
        return next((price for price in own if price is not None), FALLBACK_PRICE)


def layer_of(prices: Iterable[Price]) -> dict[Key, Price]:
    """Prices by provider and name. A model's own name goes before the alias of another."""
    listed = list(prices)
    by_alias = {(price.provider, alias): price for price in reversed(listed) for alias in price.aliases}
    return by_alias | {(price.provider, price.model): price for price in listed}

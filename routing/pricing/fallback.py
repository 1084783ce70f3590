"""What is charged where no price is known: dear enough that nobody gains by an unknown model, and never nothing."""

from dataclasses import replace
from typing import Final

from routing.pricing.kinds import Kind, Mode
from routing.pricing.price import Price, PriceSource

#: $15 and $75 per 1,000,000 tokens: what the largest models of common use cost.
FALLBACK_PRICE: Final = Price(
    provider="*",
    model="*",
    source=PriceSource.FALLBACK,
    version="built-in",
    rates={Mode.STANDARD: {Kind.INPUT: 1_500_000_000, Kind.OUTPUT: 7_500_000_000}},
)
#: $0.035 for a call: the dearest search that a provider lists.
FALLBACK_TOOL_FEE: Final = 3_500_000


def fallback_for(*, provider: str, model: str) -> Price:
    """The fallback under the name of the model that has no price."""
    return replace(FALLBACK_PRICE, provider=provider, model=model)

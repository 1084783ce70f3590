"""Models as policies name them: `provider:model`, with `@deployment` where a provider runs it in several places."""

from dataclasses import dataclass

from routing.pricing.book import ModelUnknown, PriceBook
from routing.pricing.price import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    provider: str
    model: str
    deployment: str | None
    price: Price


def lookups(name: str) -> tuple[tuple[str, str], ...]:
    """(provider, model) to look for in the price book: with what follows the @, which may be a part of the name.

    A date behind the @ always is one.
    """
    provider, _, model = name.partition(":")
    plain, _, deployment = model.rpartition("@")
    has_deployment = bool(deployment and plain) and not deployment.isdecimal()
    return ((provider, model), (provider, plain)) if has_deployment else ((provider, model),)


def named_model(name: str, *, book: PriceBook) -> NamedModel:
    """The model with its price. Raises `ModelUnknown`: without a price there is none."""
    *first, last = lookups(name)
    for provider, model in first:
        try:
            price = book.price(provider=provider, model=model)
        except ModelUnknown:
            continue
        # Under the whole name it is a model of its own, as in meta@cloud.
        if model in {price.model, *price.aliases}:
            return NamedModel(provider=provider, model=model, deployment=None, price=price)
    provider, model = last
    deployment = name.rpartition("@")[2] if first else None
    price = book.price(provider=provider, model=model)
    return NamedModel(provider=provider, model=model, deployment=deployment, price=price)

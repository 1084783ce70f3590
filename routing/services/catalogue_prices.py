"""Prices for the models of the plans that come with the program, from the list that is installed."""

from datetime import datetime

from budgets.services.plan_catalogue import CATALOGUE
from kernel.actor import Actor
from routing.pricing.book import ModelUnknown
from routing.rules.model_names import lookups, named_model
from routing.selectors.prices import model_prices, proposals
from routing.services.price_approval import approve_prices
from routing.services.price_import import import_prices
from routing.services.price_source import read_source


def catalogue_models() -> tuple[str, ...]:
    """Every model that a plan of the catalogue names, each once."""
    plans = [plan.defaults["routing"] for plan in CATALOGUE]
    return tuple(dict.fromkeys(name for routing in plans for names in routing["tiers"].values() for name in names))


def ensure_catalogue_prices(*, actor: Actor, now: datetime) -> int:
    """Approve the list prices of the catalogue's models that have no price; how many. Others wait for a person."""
    missing = {pair for name in catalogue_models() if not _has_price(name, now) for pair in lookups(name)}
    if not missing:
        return 0
    import_prices(read_source(), actor=actor, now=now)
    chosen = [
        version.pk
        for version in proposals(models=[model for _, model in missing])
        if (version.provider, version.model) in missing
    ]
    return approve_prices(chosen, actor=actor, now=now) if chosen else 0


def _has_price(name: str, now: datetime) -> bool:
    try:
        named_model(name, book=model_prices(models=lookups(name), at=now))
    except ModelUnknown:
        return False
    return True

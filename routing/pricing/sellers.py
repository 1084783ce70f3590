"""Who sells which model: the provider of a call that names none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from routing.pricing.names import names_of

type Names = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Sellers:
    """Providers by the names of their models: of prices that were approved, and of those that nobody approved yet.

    What is approved goes first: a list has every reseller of a model, and an installation buys from few. `providers`
    are all that sell anything.
    """

    approved: Names
    listed: Names
    providers: frozenset[str]

    def of(self, model: str) -> frozenset[str]:
        """Of the model under one of its names; nobody where it is not known."""
        return _of(self.approved, model) or _of(self.listed, model)


def sellers_of(rows: Iterable[tuple[str, str, Iterable[str], bool]]) -> Sellers:
    """Of prices as (provider, model, aliases, whether it was approved)."""
    approved: dict[str, set[str]] = {}
    listed: dict[str, set[str]] = {}
    providers = set()
    for provider, model, aliases, is_approved in rows:
        providers.add(provider)
        for name in (model, *aliases):
            (approved if is_approved else listed).setdefault(name.lower(), set()).add(provider)
    return Sellers(_frozen(approved), _frozen(listed), frozenset(providers))


def _frozen(names: Mapping[str, set[str]]) -> Names:
    return {name: frozenset(providers) for name, providers in names.items()}


def _of(names: Names, model: str) -> frozenset[str]:
    return frozenset[str]().union(*(names.get(name, frozenset()) for name in names_of(model)))

"""Which of the ledger's calls may stand on a provider's invoice: by what a call names, else by who sells its model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from budgets.reconciling.calls import Booked, Comparison
from routing.pricing.sellers import Sellers


@dataclass(frozen=True, slots=True)
class ChargeProviders:
    """`provider` is the one whose invoice is looked at, empty where it is no single one's; `references` are in it."""

    provider: str
    sellers: Sellers
    references: frozenset[str]

    def may_be_its(self, charge: Booked) -> bool:
        """Of the calls that name no provider: those whose model it sells, or nobody is known to sell.

        A provider that no price knows could sell anything. What it has by its id is its, whoever we think sold it.
        """
        if not self.provider or not self.references.isdisjoint(charge.references):
            return True
        if named := self._named(charge):
            return named == self.provider
        sellers = self.sellers.of(charge.model)
        return not sellers or self.provider in sellers or self.provider not in self.sellers.providers

    def counted(self, found: Comparison, booked: Sequence[Booked]) -> Comparison:
        """With how many of the booked calls name no provider."""
        unnamed = [each for each in booked if not self._named(each)]
        return replace(
            found, unnamed=len(unnamed), unplaced=sum(1 for each in unnamed if not self.sellers.of(each.model))
        )

    def _named(self, charge: Booked) -> str:
        is_provider = charge.prefix == self.provider or charge.prefix in self.sellers.providers
        return charge.provider or (charge.prefix if is_provider else "")

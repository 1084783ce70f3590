"""What the entries of a ledger come to, range by range, from its beginning on."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from uuid import UUID

from budgets.models.ledger import BALANCE_FIELDS
from budgets.selectors.audit_rows import read
from budgets.selectors.ledger_beginning import Beginning, Opening, kinds_of, openings

type Balances = list[Decimal]

ZERO: Final = [Decimal(0)] * len(BALANCE_FIELDS)


@dataclass(slots=True)
class Folded:
    """By budget what its entries come to and which was its first; by kind how many, and a sum over reservations."""

    balances: dict[UUID, Balances] = field(default_factory=dict)
    first_seq: dict[UUID, int] = field(default_factory=dict)
    kinds: dict[str, tuple[int, Decimal]] = field(default_factory=lambda: defaultdict(lambda: (0, Decimal(0))))

    def openings(self) -> list[Opening]:
        """The same as what the next part of the ledger begins with."""
        return [
            Opening(budget, self.first_seq[budget], tuple(int(number) for number in balances))
            for budget, balances in sorted(self.balances.items())
        ]


@dataclass(frozen=True, slots=True)
class Unfit:
    """An entry that does not continue what its budget had."""

    seq: int
    budget: UUID


def fold_from(beginning: Beginning) -> Folded:
    """What was archived of the ledger comes to this."""
    folded = Folded()
    if beginning.file is not None:
        folded.kinds.update(kinds_of(beginning.file))
        for opening in openings(beginning.file):
            folded.balances[opening.budget_id] = [Decimal(number) for number in opening.balances]
            folded.first_seq[opening.budget_id] = opening.first_seq
    return folded


def fold_kinds(folded: Folded, bounds: Mapping[str, int]) -> int:
    """Count the entries of a range; how many there are."""
    here = 0
    for row in read("audit_kinds", bounds):
        number, fingerprint = folded.kinds[row["kind"]]
        folded.kinds[row["kind"]] = number + row["number"], fingerprint + row["fingerprint"]
        here += row["number"]
    return here


def fold_balances(folded: Folded, bounds: Mapping[str, int]) -> Iterator[Unfit]:
    """Add the entries of a range; those that do not continue what was before."""
    for row in read("audit_fold", bounds):
        budget, opening, (closing,) = row["budget_id"], row["opening"][0], row["closing"]
        if opening != folded.balances.get(budget, ZERO)[: len(opening)]:
            yield Unfit(row["first_seq"], budget)
        if row["broken_seq"] is not None:
            yield Unfit(row["broken_seq"], budget)
        folded.balances[budget] = closing
        folded.first_seq.setdefault(budget, row["first_seq"])

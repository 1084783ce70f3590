"""Which budgets money may be moved between: those of one unit right below the same scope."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from budgets.console.wording import scope_words
from budgets.models.choices import BudgetStatus
from budgets.scopes import parent_of
from budgets.selectors.budget_lines import BudgetLine
from kernel.pages.amounts import amount_text, exact_amount_text, unit_name

type Options = list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Siblings:
    """At least two active budgets of one unit right below `parent`; `above` is the parent's own budget."""

    parent: str
    unit: str
    lines: tuple[BudgetLine, ...]
    above: BudgetLine | None

    @property
    def name(self) -> str:
        return f"in {scope_words(self.parent)}, {unit_name(self.unit)}"

    @property
    def options(self) -> list[tuple[str, str]]:
        return [(choice_of(line), f"{scope_words(line.scope_path)} — {free_text(line)} free") for line in self.lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What two budgets would have after a move: limits and what is free, in `unit`. `total` is what does not change."""

    unit: str
    giver: str
    giver_allocated: int
    giver_free: int
    receiver: str
    receiver_allocated: int
    receiver_free: int
    total: int

    @property
    def text(self) -> str:
        return (
            f"After: {self.giver} limit {self._money(self.giver_allocated)} ({self._money(self.giver_free)} free), "
            f"{self.receiver} limit {self._money(self.receiver_allocated)} ({self._money(self.receiver_free)} free). "
            f"Total unchanged at {self._money(self.total)}."
        )

    def _money(self, amount: int) -> str:
        return exact_amount_text(amount, self.unit)


def sibling_groups(lines: Sequence[BudgetLine]) -> list[Siblings]:
    """All groups of the tree, in its order."""
    found: dict[tuple[str, str], list[BudgetLine]] = defaultdict(list)
    above = {(line.scope_path, str(line.unit)): line for line in lines}
    for line in lines:
        parent = parent_of(line.scope_path)
        if parent is not None and line.status == BudgetStatus.ACTIVE:
            found[parent, str(line.unit)].append(line)
    return [
        Siblings(parent=parent, unit=unit, lines=tuple(members), above=above.get((parent, unit)))
        for (parent, unit), members in found.items()
        if len(members) > 1
    ]


def movable_ids(groups: Iterable[Siblings]) -> frozenset[UUID]:
    return frozenset(line.id for group in groups for line in group.lines)


def group_of(groups: Iterable[Siblings], budget_id: UUID | None) -> Siblings | None:
    return next((group for group in groups if any(line.id == budget_id for line in group.lines)), None)


def after(group: Siblings, giver: BudgetLine, receiver: BudgetLine, amount: int) -> After:
    """What a move of `amount` would lead to. What the receiver owes is paid first, which changes nothing here."""
    return After(
        unit=group.unit,
        giver=scope_words(giver.scope_path),
        giver_allocated=giver.allocated - amount,
        giver_free=giver.remaining - amount,
        receiver=scope_words(receiver.scope_path),
        receiver_allocated=receiver.allocated + amount,
        receiver_free=receiver.remaining + amount,
        total=group.above.allocated if group.above else sum(line.allocated for line in group.lines),
    )


def choice_of(line: BudgetLine) -> str:
    """The value of an option: the budget, and the limit that its reader sees."""
    return f"{line.id}~{line.allocated}"


def read_choice(text: str) -> tuple[UUID, int | None] | None:
    """The budget that an option named, and the limit that was seen then; None for anything else."""
    name, _, seen = text.partition("~")
    try:
        return UUID(name), int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 20 else None
    except ValueError:
        return None


def free_text(line: BudgetLine) -> str:
    return amount_text(line.remaining, line.unit)

"""What an agent's traffic costs: expected, at worst under the caps, and with everything on the large model.

The arithmetic is exact: whole numbers and fractions of them, rounded only where an amount is shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from budgets.services.routing_policy import TierName
from routing.services.budget_table import BudgetTable, Money, TrafficClass, Work

#: What a month is to the planner. Budgets know the calendar's months; a plan compares agents.
DAYS_A_MONTH: Final = 30


class CannotPlan(Exception):
    """The table does not say what a figure needs; the text names the class and what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of the average turn, and of all turns of a day and of thirty days."""

    turn: Money
    day: Money
    month: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLine:
    """One class of the plan. `worst` is None without caps or prices, `longest_ms` without timeouts."""

    name: str
    share: Fraction
    route: tuple[TierName, ...]
    expected: Money
    worst: Money | None
    longest_ms: int | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`worst` and `all_large` are None where the table does not say enough."""

    table: BudgetTable
    classes: tuple[ClassLine, ...]
    expected: Cost
    worst: Cost | None
    all_large: Cost | None

    @property
    def is_inside(self) -> bool | None:
        """Whether the expected month keeps to the ceiling, the ceiling itself included; None without a ceiling."""
        ceiling = self.table.ceiling_a_month
        return None if ceiling is None else self.expected.month <= ceiling

    @property
    def worst_is_inside(self) -> bool | None:
        ceiling = self.table.ceiling_a_month
        return None if ceiling is None or self.worst is None else self.worst.month <= ceiling

    @property
    def saved(self) -> Fraction | None:
        """The share of `all_large` that the plan does not spend; negative when it spends more."""
        return 1 - self.expected.turn / self.all_large.turn if self.all_large and self.all_large.turn else None


def make_plan(table: BudgetTable) -> Plan:
    """What the table's traffic costs. Raises `CannotPlan` when a class says neither a cost nor its tokens."""
    lines = tuple(_line(traffic, table) for traffic in table.classes)
    return Plan(
        table=table,
        classes=lines,
        expected=_cost(((line.share, line.expected) for line in lines), table),
        worst=_cost_if_known(((line.share, line.worst) for line in lines), table),
        all_large=_cost_if_known(((traffic.share, _on_large(traffic, table)) for traffic in table.classes), table),
    )


def _line(traffic: TrafficClass, table: BudgetTable) -> ClassLine:
    expected, worst = _expected(traffic, table), _worst(traffic, table)
    longest_ms = _longest_ms(traffic, table)
    warnings = []
    if worst is not None and expected > worst:
        warnings.append("expected to cost more than its caps allow")
    if traffic.cost_target is not None and expected > traffic.cost_target:
        warnings.append("over its cost target")
    if traffic.p95_cap_ms is not None and longest_ms is not None and longest_ms > traffic.p95_cap_ms:
        warnings.append("may take longer than its time cap")
    return ClassLine(
        name=traffic.name,
        share=traffic.share,
        route=_route(traffic),
        expected=expected,
        worst=worst,
        longest_ms=longest_ms,
        warnings=tuple(warnings),
    )


def _route(traffic: TrafficClass) -> tuple[TierName, ...]:
    return (traffic.tier, *(promotion.to for promotion in traffic.promotions))


def _expected(traffic: TrafficClass, table: BudgetTable) -> Money:
    """A promoted turn pays for both attempts, the tools of both included."""
    reached, total = Fraction(1), Fraction(0)
    shares = (Fraction(1), *(promotion.share for promotion in traffic.promotions))
    for tier, share in zip(_route(traffic), shares, strict=True):
        reached *= share
        total += reached * _attempt(traffic, tier, table)
    return total


def _attempt(traffic: TrafficClass, tier: TierName, table: BudgetTable) -> Money:
    model = traffic.costs.get(tier)
    if model is None:
        model = _priced(traffic.expected, tier, table)
    if model is None:
        raise CannotPlan(
            f"The class {traffic.name} needs its cost on the tier {tier}: state it, or its iterations and tokens and"
            f" the tier's price."
        )
    return model + sum((tool.calls * tool.price for tool in traffic.tools), Fraction(0))


def _on_large(traffic: TrafficClass, table: BudgetTable) -> Money | None:
    try:
        return _attempt(traffic, TierName.LARGE, table)
    except CannotPlan:
        return None


def _worst(traffic: TrafficClass, table: BudgetTable) -> Money | None:
    """Every cap reached in every attempt, and every promotion taken."""
    attempts = [_priced(traffic.caps, tier, table) for tier in _route(traffic)]
    tools = sum((tool.calls_max * tool.price for tool in traffic.tools), Fraction(0))
    known = [model + tools for model in attempts if model is not None]
    return sum(known, Fraction(0)) if len(known) == len(attempts) else None


def _priced(work: Work | None, tier: TierName, table: BudgetTable) -> Money | None:
    price = table.tiers[tier].price if tier in table.tiers else None
    if work is None or price is None:
        return None
    call = price.of(input_tokens=work.input_tokens, output_tokens=work.output_tokens)
    return table.currency.from_microcents(work.iterations * call)


def _longest_ms(traffic: TrafficClass, table: BudgetTable) -> int | None:
    """One attempt after the other, each to the end of its tier's timeouts."""
    tiers = [table.tiers.get(tier) for tier in _route(traffic)]
    known = [tier.timeouts.total_ms for tier in tiers if tier is not None and tier.timeouts is not None]
    return sum(known) if len(known) == len(tiers) else None


def _cost(turns: Iterable[tuple[Fraction, Money]], table: BudgetTable) -> Cost:
    turn = sum((share * cost for share, cost in turns), Fraction(0))
    day = turn * table.turns_a_day
    return Cost(turn=turn, day=day, month=day * DAYS_A_MONTH)


def _cost_if_known(turns: Iterable[tuple[Fraction, Money | None]], table: BudgetTable) -> Cost | None:
    pairs = list(turns)
    known = [(share, cost) for share, cost in pairs if cost is not None]
    return _cost(known, table) if len(known) == len(pairs) else None

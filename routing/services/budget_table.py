"""The budget table of an agent: its traffic classes, the tiers they go to, and what those cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from budgets.services.routing_policy import TierName
from routing.services.timeouts import TierTimeouts

_MICROCENTS_PER_USD: Final = 10**8
_TOKENS_PER_PRICE: Final = 10**6

#: An amount in the currency of the table.
type Money = Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """What amounts are shown in. `per_usd` is what one US dollar bought on the day `dated`."""

    code: str
    per_usd: Decimal
    dated: date

    def from_microcents(self, amount: Fraction) -> Money:
        return amount / _MICROCENTS_PER_USD * Fraction(self.per_usd)

    def to_microcents(self, amount: Money) -> int:
        """USD_MICROCENTS, rounded half to even."""
        return round(amount / Fraction(self.per_usd) * _MICROCENTS_PER_USD)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """USD_MICROCENTS per 1,000,000 tokens."""

    input: int
    output: int

    def of(self, *, input_tokens: int, output_tokens: int) -> Fraction:
        """USD_MICROCENTS."""
        return Fraction(input_tokens * self.input + output_tokens * self.output, _TOKENS_PER_PRICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    price: TokenPrice | None = None
    timeouts: TierTimeouts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Model calls of one attempt at a turn, and the tokens of each call."""

    iterations: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """Calls of one tool in one attempt; `price` is for a call, in the table's currency."""

    name: str
    price: Money
    calls: Fraction
    calls_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """`share` is of the turns that reached the tier before: a cascade multiplies them."""

    to: TierName
    share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficClass:
    """`costs` are the model costs of an attempt by tier, where the table states them; else `expected` is priced."""

    name: str
    share: Fraction
    tier: TierName
    costs: Mapping[TierName, Money]
    expected: Work | None = None
    caps: Work | None = None
    tools: tuple[ToolUse, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    p95_cap_ms: int | None = None
    cost_target: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTable:
    agent: str
    turns_a_day: int
    currency: Currency
    ceiling_a_month: Money | None
    tiers: Mapping[TierName, Tier]
    classes: tuple[TrafficClass, ...]

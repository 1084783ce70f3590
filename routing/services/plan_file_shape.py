"""What may stand in a budget table's TOML file: the fields, their types and bounds."""

from datetime import date
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from budgets.services.routing_policy import TierName

type Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_. -]{1,64}\Z")]
type Count = Annotated[int, Meta(ge=0, le=10**9)]
type Positive = Annotated[int, Meta(ge=1, le=10**9)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: a field that nobody knows is a mistake, not a comment."""


class CurrencyFile(_Struct, frozen=True, kw_only=True):
    code: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")] = "USD"
    per_usd: Decimal = Decimal(1)
    dated: date


class PriceFile(_Struct, frozen=True, kw_only=True):
    input_usd: Decimal
    output_usd: Decimal


class TimeoutsFile(_Struct, frozen=True, kw_only=True):
    overhead: Decimal
    model: Decimal
    model_calls: Positive
    tools: dict[Name, Decimal] = {}
    margin: Decimal
    sla: Decimal


class TierFile(_Struct, frozen=True, kw_only=True):
    price: PriceFile | None = None
    timeouts: TimeoutsFile | None = None


class WorkFile(_Struct, frozen=True, kw_only=True):
    iterations: Positive
    input_tokens: Count
    output_tokens: Count


class ToolUseFile(_Struct, frozen=True, kw_only=True):
    calls: Decimal
    calls_max: Count


class PromotionFile(_Struct, frozen=True, kw_only=True):
    to: TierName
    percent: Decimal


class ClassFile(_Struct, frozen=True, kw_only=True):
    name: Name
    percent: Decimal | None = None
    turns: Count | None = None
    tier: TierName
    cost: dict[TierName, Decimal] = {}
    cost_target: Decimal | None = None
    p95_seconds: Decimal | None = None
    expected: WorkFile | None = None
    caps: WorkFile | None = None
    tools: dict[Name, ToolUseFile] = {}
    promotions: Annotated[list[PromotionFile], Meta(max_length=2)] = []


class PlanFile(_Struct, frozen=True, kw_only=True):
    agent: Name
    turns_a_day: Positive
    ceiling_a_month: Decimal | None = None
    currency: CurrencyFile
    tiers: dict[TierName, TierFile] = {}
    tool_prices: dict[Name, Decimal] = {}
    classes: Annotated[list[ClassFile], Meta(min_length=1, max_length=100)]

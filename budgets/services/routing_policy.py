"""What may stand in a routing policy: tiers of models, traffic classes with their caps, and the low-water mark.

Only the shape; what it must add up to needs prices and is checked by `routing.services.routing_checks`.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from budgets.services.rule_parts import Fallback, Limit, Name, Part, Ppm, Priority

ModelName = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9_.-]{1,64}:[a-z0-9][a-z0-9_.:/+-]{0,255}(@[a-z0-9_.-]{1,64})?\Z",
        description="provider:model in lower case, with @deployment where there are several",
    ),
]
ForecastPpm = Annotated[int, Meta(ge=1, le=100_000_000)]
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]


class TierName(StrEnum):
    """From the cheapest up."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Pattern(StrEnum):
    """How a class finds its tier: named, small first, or upwards on failed checks."""

    HARD = "hard"
    SOFT = "soft"
    CASCADE = "cascade"


class Timeouts(Part, frozen=True, kw_only=True):
    """Milliseconds. Tools of one step run in parallel; together everything must fit `sla_ms`."""

    sla_ms: Annotated[int, Meta(ge=1, le=3_600_000)]
    model_ms: Milliseconds
    model_calls: Annotated[int, Meta(ge=1, le=1_000)] = 1
    overhead_ms: Milliseconds = 0
    margin_ms: Milliseconds = 0
    tools: Annotated[dict[Name, Milliseconds], Meta(max_length=256)] = {}


class TrafficClass(Part, frozen=True, kw_only=True):
    """One kind of request. `output_tokens_p99` is what 99 of 100 answers stay within, where that is known."""

    tier: TierName
    pattern: Pattern = Pattern.HARD
    iterations_max: Limit | UnsetType = UNSET
    input_tokens_max: Limit | UnsetType = UNSET
    output_tokens_max: Limit | UnsetType = UNSET
    output_tokens_p99: Limit | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    context_target_tokens: Limit | UnsetType = UNSET
    timeouts: Timeouts | UnsetType = UNSET
    cooldown_ms: Annotated[int, Meta(ge=1, le=3_600_000)] | UnsetType = UNSET
    fallback: Fallback | UnsetType = UNSET


class ModelTraits(Part, frozen=True, kw_only=True):
    """What is known of a model beside its price. Here named, a model may be asked for though it is in no tier.

    A model that has the capability `reasoning` is never capped below what it needs to say anything at all;
    `output_tokens_min` says it otherwise.
    """

    capabilities: Annotated[tuple[Name, ...], Meta(max_length=32)] = ()
    context_window: Limit | UnsetType = UNSET
    output_tokens_min: Limit | UnsetType = UNSET
    input_factor_ppm: Annotated[int, Meta(ge=1_000, le=10**8)] | UnsetType = UNSET


class LowWater(Part, frozen=True, kw_only=True):
    """Shares of an allocation that are left, in parts per million; of the forecast, shares that will be spent."""

    enter_ppm: Ppm = 200_000
    leave_ppm: Ppm = 250_000
    forecast_enter_ppm: ForecastPpm = 1_000_000
    forecast_leave_ppm: ForecastPpm = 900_000
    hard_floor_ppm: Ppm = 50_000
    normal_floor_ppm: Ppm = 50_000
    low_floor_ppm: Ppm = 100_000
    context_target_ppm: Ppm = 500_000


class RoutingPolicy(Part, frozen=True, kw_only=True):
    """`fallbacks`: where a tier's models cannot serve, those of the tier that is named come next."""

    tiers: Annotated[dict[TierName, Annotated[tuple[ModelName, ...], Meta(max_length=16)]], Meta(max_length=3)] = {}
    fallbacks: Annotated[dict[TierName, TierName], Meta(max_length=3)] = {}
    classes: Annotated[dict[Name, TrafficClass], Meta(max_length=64)] = {}
    default_class: Name | UnsetType = UNSET
    hint_confidence_min_ppm: Ppm | UnsetType = UNSET
    models: Annotated[dict[ModelName, ModelTraits], Meta(max_length=128)] = {}
    low_water: LowWater | UnsetType = UNSET

    @property
    def named_models(self) -> tuple[str, ...]:
        """Every model that may be asked for, in order, each once."""
        return tuple(dict.fromkeys([name for tier in self.tiers.values() for name in tier] + list(self.models)))

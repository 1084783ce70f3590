"""The limits that a plan gives and a tenant's own overrides replace: what may stand in them. Integers only."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kernel.http.explain import FieldError
from kernel.money import AMOUNT_MAX

_SECONDS_A_MONTH = 31 * 86_400

#: A limit of nothing would be a stop, and stops have a reason and an end of their own.
Limit = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
Ppm = Annotated[int, Meta(ge=0, le=10**6)]
Name = Annotated[str, Meta(pattern=r"\A[a-z0-9_.-]{1,64}\Z", description="1 to 64 characters out of a-z 0-9 _ . -")]
ModelPattern = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9_.*-]{1,64}(:[a-z0-9_.:/@+*-]{1,320})?\Z",
        description="provider:model in lower case, with * for anything",
    ),
]


class Priority(StrEnum):
    """Whose work goes first when the budget is nearly gone. A request has the lower of its own and its tenant's."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Fallback(StrEnum):
    """What the runtime does where a run has come to its limit."""

    INTERIM_MESSAGE = "interim_message"
    ESCALATE = "escalate"
    PARTIAL_RESULT = "partial_result"


class OnExhaustion(StrEnum):
    """What happens when the money of a session or a month is gone."""

    SHORTER = "shorter"
    CHEAPER = "cheaper"
    CACHED = "cached"
    NOTICE = "notice"
    UPGRADE_PROMPT = "upgrade_prompt"
    OVERAGE = "overage"
    ADMIN_NOTICE = "admin_notice"


class RateLevel(StrEnum):
    """Whose bucket it is: each tenant's, or each of its workspaces', agents' or keys' own."""

    TENANT = "tenant"
    WORKSPACE = "workspace"
    AGENT = "agent"
    KEY = "key"


class RateCounts(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a document: a field that nobody knows is a mistake, and what is left out is not limited."""


class Sizes(Part, frozen=True, kw_only=True):
    """Tokens of one request, and how many runs."""

    input_tokens_max: Limit | UnsetType = UNSET
    output_tokens_max: Limit | UnsetType = UNSET
    runs_per_day_max: Limit | UnsetType = UNSET
    runs_per_month_max: Limit | UnsetType = UNSET
    concurrent_runs_max: Limit | UnsetType = UNSET


class RunLimits(Part, frozen=True, kw_only=True):
    """What one run may use; its money is the run template's affair."""

    iterations_max: Limit | UnsetType = UNSET
    tokens_max: Limit | UnsetType = UNSET
    wall_seconds_max: Annotated[int, Meta(ge=1, le=_SECONDS_A_MONTH)] | UnsetType = UNSET
    fallback: Fallback | UnsetType = UNSET


class RateBucket(Part, frozen=True, kw_only=True):
    """A token bucket: `capacity` at once, refilled by `per_minute`."""

    name: Name
    level: RateLevel
    counts: RateCounts
    capacity: Annotated[int, Meta(ge=1, le=10**12)]
    per_minute: Annotated[int, Meta(ge=1, le=10**12)]


class Exhaustion(Part, frozen=True, kw_only=True):
    session: Annotated[tuple[OnExhaustion, ...], Meta(max_length=7)] = ()
    month: Annotated[tuple[OnExhaustion, ...], Meta(max_length=7)] = ()


class RuleParts(Part, frozen=True, kw_only=True):
    """What plans and overrides have in common. `models` are the models that may be used, as patterns; unset is all."""

    limits: Sizes | UnsetType = UNSET
    run: RunLimits | UnsetType = UNSET
    rate: Annotated[tuple[RateBucket, ...], Meta(max_length=32)] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    on_exhaustion: Exhaustion | UnsetType = UNSET
    share_weight: Annotated[int, Meta(ge=1, le=10**6)] | UnsetType = UNSET
    models: Annotated[tuple[ModelPattern, ...], Meta(min_length=1, max_length=256)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.rate is UNSET:
            return
        names = [bucket.name for bucket in self.rate]
        if len(set(names)) < len(names):
            raise FieldError("rate", "has two buckets of one name; give each its own")


def as_document(part: Part) -> dict[str, Any]:
    """The part as plain JSON, without what was left out."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(part))
    return document

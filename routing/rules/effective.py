"""What holds for a tenant: each limit of its plan, or of its own overrides in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from budgets.services.patterns import fits_any
from budgets.services.plan_defaults import PlanDefaults
from budgets.services.policies import PolicyKind
from budgets.services.policy_refusal import read_part
from budgets.services.routing_policy import RoutingPolicy
from budgets.services.rule_parts import RateBucket, RuleParts, as_document
from routing.rules.model_names import lookups


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSource:
    """A version of a plan, read."""

    code: str
    version: int
    defaults: PlanDefaults

    @property
    def place(self) -> str:
        return f"plan {self.code} v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """The newest version of one policy; what it says is read where it is used."""

    version: int
    document: Mapping[str, Any]
    actor: str = ""
    reason: str = ""
    saved_on: str = ""

    @property
    def place(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"override v{self.version} by {self.actor} {self.saved_on}{reason}"


type Policies = Mapping[PolicyKind, PolicySource]


@dataclass(frozen=True, slots=True)
class Held:
    """A value, and where it comes from."""

    value: Any
    place: str


@dataclass(slots=True, kw_only=True)
class EffectiveRules:
    """Names of limits to what holds. `single` has the parts that are one value each."""

    limits: dict[str, Held] = field(default_factory=dict)
    run: dict[str, Held] = field(default_factory=dict)
    rate: dict[str, Held] = field(default_factory=dict)
    single: dict[str, Held] = field(default_factory=dict)
    routing: RoutingPolicy | None = None
    routing_place: str = ""

    @property
    def models_allowed(self) -> tuple[str, ...]:
        """Patterns; without any, every model is allowed."""
        held = self.single.get("models")
        return ("*",) if held is None else tuple(held.value)

    def allows_model(self, name: str) -> bool:
        """Whether the model may be used; one that is allowed is allowed wherever it is deployed."""
        return any(fits_any(self.models_allowed, f"{provider}:{model}") for provider, model in lookups(name))

    def usable(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if self.allows_model(name))


_SINGLE = ("priority", "on_exhaustion", "share_weight", "models")


def effective_rules(*, plan: PlanSource | None, policies: Policies) -> EffectiveRules:
    """The plan's limits with the override's in their place, one by one; rate buckets by their names.

    The routing policy takes the place of the plan's routing as a whole.
    """
    rules = EffectiveRules()
    if plan is not None:
        _lay(rules, plan.defaults, plan.place)
        if plan.defaults.routing is not UNSET:
            rules.routing, rules.routing_place = plan.defaults.routing, plan.place
    override = policies.get(PolicyKind.LIMITS)
    if override is not None:
        _lay(rules, read_part(override.document, RuleParts), override.place)
    routing = policies.get(PolicyKind.ROUTING)
    if routing is not None and routing.document:
        rules.routing, rules.routing_place = read_part(routing.document, RoutingPolicy), routing.place
    return rules


def _lay(rules: EffectiveRules, parts: RuleParts, place: str) -> None:
    if parts.limits is not UNSET:
        rules.limits |= {name: Held(value, place) for name, value in as_document(parts.limits).items()}
    if parts.run is not UNSET:
        rules.run |= {name: Held(value, place) for name, value in as_document(parts.run).items()}
    buckets: tuple[RateBucket, ...] = () if parts.rate is UNSET else parts.rate
    rules.rate |= {bucket.name: Held(as_document(bucket), place) for bucket in buckets}
    plain = as_document(parts)
    rules.single |= {name: Held(plain[name], place) for name in _SINGLE if name in plain}

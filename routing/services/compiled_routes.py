"""The routing parts of a ruleset: tiers, classes and models with their prices."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from budgets.services.routing_policy import ModelTraits, RoutingPolicy, TierName, TrafficClass
from budgets.services.rule_parts import as_document
from routing.pricing.book import ModelUnknown, PriceBook
from routing.rules.effective import EffectiveRules
from routing.rules.model_names import NamedModel, named_model
from routing.services.output_holds import REASONING_CAP_MIN, output_hold
from routing.services.timeouts import TierTimeouts

_AS_THEY_ARE = (
    "iterations_max",
    "input_tokens_max",
    "output_tokens_max",
    "priority",
    "context_target_tokens",
    "cooldown_ms",
    "fallback",
)

_REASONING = "reasoning"


def compiled_routes(
    rules: EffectiveRules, *, book: PriceBook, catalogue: Iterable[str], input_factors: Mapping[str, int]
) -> dict[str, Any]:
    """What decisions need to choose a model. Models without a price are left out: they cost nothing that we know.

    `catalogue` names the models of all plans: those that this tenant may not use are known, and refused as such.
    """
    policy = rules.routing
    if policy is None:
        return {}
    known = _priced([*policy.named_models, *catalogue], book)
    models = {name: known[name] for name in rules.usable(policy.named_models) if name in known}
    parts: dict[str, Any] = {
        "models": _with_deployments(
            {
                name: _model(model, policy.models.get(name), input_factor=input_factors.get(name))
                for name, model in models.items()
            }
        ),
        "models_refused": sorted(known.keys() - models.keys()),
        "tiers": {
            str(tier): [name for name in tier_models(policy, tier) if name in models]
            for tier in TierName
            if tier in policy.tiers or tier in policy.fallbacks
        },
        "classes": {name: _traffic(traffic) for name, traffic in policy.classes.items()},
    }
    if policy.default_class is not UNSET:
        parts["default_class"] = policy.default_class
    if policy.hint_confidence_min_ppm is not UNSET:
        parts["hint_confidence_min_ppm"] = policy.hint_confidence_min_ppm
    if policy.low_water is not UNSET:
        parts["low_water"] = as_document(policy.low_water)
    return parts


def tier_models(policy: RoutingPolicy, tier: TierName) -> tuple[str, ...]:
    """The tier's models, then those of the tiers that it falls back to, each once."""
    names: dict[str, None] = {}
    seen: set[TierName] = set()
    step: TierName | None = tier
    while step is not None and step not in seen:
        seen.add(step)
        names |= dict.fromkeys(policy.tiers.get(step, ()))
        step = policy.fallbacks.get(step)
    return tuple(names)


def timeouts_of(traffic: TrafficClass) -> TierTimeouts | None:
    timeouts = traffic.timeouts
    if timeouts is UNSET:
        return None
    return TierTimeouts(
        overhead_ms=timeouts.overhead_ms,
        model_ms=timeouts.model_ms,
        model_calls=timeouts.model_calls,
        slowest_tool_ms=max(timeouts.tools.values(), default=0),
        margin_ms=timeouts.margin_ms,
        sla_ms=timeouts.sla_ms,
    )


def _priced(names: Iterable[str], book: PriceBook) -> Mapping[str, NamedModel]:
    found = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = named_model(name, book=book)
        except ModelUnknown:
            continue
    return found


def _model(model: NamedModel, traits: ModelTraits | None, *, input_factor: int | None) -> dict[str, Any]:
    own = {} if traits is None else as_document(traits)
    entry: dict[str, Any] = {"provider": model.provider, "model": model.model, "capabilities": []}
    if model.deployment is not None:
        entry["deployment"] = model.deployment
    if model.price.context_window is not None:
        entry["context_window"] = model.price.context_window
    if input_factor is not None:
        entry["input_factor_ppm"] = input_factor
    # What a policy says of a model goes before what was learnt.
    entry |= own
    if _REASONING in entry["capabilities"]:
        entry.setdefault("output_tokens_min", REASONING_CAP_MIN)
    return entry | {"price": model.price.as_document()}


def _with_deployments(models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A request names a model and no deployment: the model by itself knows the deployments that it may be sent to."""
    deployed: dict[str, list[str]] = {}
    for key, model in models.items():
        if "deployment" in model:
            deployed.setdefault(f"{model['provider']}:{model['model']}", []).append(key)
    for name, keys in deployed.items():
        itself = models.get(name)
        if itself is None:
            models[name] = {field: value for field, value in models[keys[0]].items() if field != "deployment"}
            models[name]["deployments"] = keys
        else:
            itself["deployments"] = [name, *keys]
    return models


def _traffic(traffic: TrafficClass) -> dict[str, Any]:
    plain = as_document(traffic)
    entry = {"tier": plain["tier"], "pattern": plain["pattern"]}
    entry |= {name: plain[name] for name in _AS_THEY_ARE if name in plain}
    if traffic.output_tokens_max is not UNSET:
        p99 = None if traffic.output_tokens_p99 is UNSET else traffic.output_tokens_p99
        entry["output_tokens_hold"] = output_hold(
            cap=traffic.output_tokens_max, p99=p99, is_scarce=False, must_not_exceed=False
        )
    timeouts = timeouts_of(traffic)
    if timeouts is not None and traffic.timeouts is not UNSET:
        entry["timeouts"] = {
            "total_ms": timeouts.total_ms,
            "model_ms": timeouts.model_ms,
            "tools": dict(traffic.timeouts.tools),
        }
    return entry

"""What a routing policy must add up to when it is saved: every name leads somewhere, every class to a model."""

from collections.abc import Iterator

from msgspec import UNSET

from budgets.services.policies import InvalidPolicy
from budgets.services.routing_policy import LowWater, RoutingPolicy, TierName, TrafficClass
from kernel.http.explain import join
from routing.pricing.book import ModelUnknown, PriceBook
from routing.rules.effective import EffectiveRules
from routing.rules.model_names import named_model
from routing.services.compiled_routes import tier_models, timeouts_of
from routing.services.timeouts import TimeoutsDoNotFit, check_timeouts

type Complaint = tuple[str, str]


def check_routing(policy: RoutingPolicy, *, rules: EffectiveRules, book: PriceBook) -> None:
    """Refuse a policy that names what is not there, or that would leave a class without a model.

    `rules` is what holds with the policy in force. Raises `InvalidPolicy`, about the first thing to mend.
    """
    for field, must in _complaints(policy, rules, book):
        raise InvalidPolicy(f"{field} {must}.", field=field)


def check_models_left(rules: EffectiveRules) -> None:
    """Refuse a list of allowed models that would leave a class without any. Raises `InvalidPolicy`."""
    if rules.routing is None:
        return
    for name, traffic in rules.routing.classes.items():
        if not rules.usable(tier_models(rules.routing, traffic.tier)):
            raise InvalidPolicy(
                f"models would leave the class {name} without any model: its tier is {traffic.tier}. Allow one of that"
                " tier, or route the class elsewhere first.",
                field="models",
            )


def _complaints(policy: RoutingPolicy, rules: EffectiveRules, book: PriceBook) -> Iterator[Complaint]:
    yield from _about_models(policy, rules, book)
    yield from _about_fallbacks(policy)
    for name, traffic in policy.classes.items():
        yield from _about_class(policy, name, traffic)
    if policy.default_class is UNSET:
        if policy.classes:
            yield "default_class", "is missing: a request that names no class would have none"
    elif policy.default_class not in policy.classes:
        yield "default_class", "is no class of this policy; add it to classes, or name one of them"
    if policy.low_water is not UNSET:
        yield from _about_low_water(policy.low_water)


def _about_low_water(marks: LowWater) -> Iterator[Complaint]:
    if marks.leave_ppm < marks.enter_ppm:
        yield "low_water.leave_ppm", "must not be below enter_ppm: a budget would recover while it still runs low"
    if marks.forecast_leave_ppm > marks.forecast_enter_ppm:
        yield "low_water.forecast_leave_ppm", "must not be above forecast_enter_ppm, for the same reason"


def _about_models(policy: RoutingPolicy, rules: EffectiveRules, book: PriceBook) -> Iterator[Complaint]:
    fields = [(f"tiers.{tier}[{n}]", name) for tier, names in policy.tiers.items() for n, name in enumerate(names)]
    fields += [(join("models", name), name) for name in policy.models]
    for field, name in fields:
        try:
            named_model(name, book=book)
        except ModelUnknown:
            yield field, "is a model without a price. Import and approve its price first, or set one"
        if not rules.allows_model(name):
            yield field, f"is a model that {rules.single['models'].place} does not allow"
    for tier, names in policy.tiers.items():
        for number, name in enumerate(names):
            if name in names[:number]:
                yield f"tiers.{tier}[{number}]", "is in the tier already; the second is never tried"


def _about_fallbacks(policy: RoutingPolicy) -> Iterator[Complaint]:
    for tier, target in policy.fallbacks.items():
        field = f"fallbacks.{tier}"
        if not policy.tiers.get(target):
            yield field, f"leads to the tier {target}, which has no models"
        way = [tier]
        step: TierName | None = target
        while step is not None and step not in way:
            way.append(step)
            step = policy.fallbacks.get(step)
        if step is not None:
            yield field, f"goes round in a circle: {' → '.join([*way, step])}"


def _about_class(policy: RoutingPolicy, name: str, traffic: TrafficClass) -> Iterator[Complaint]:
    at = join("classes", name)
    if not tier_models(policy, traffic.tier):
        yield f"{at}.tier", f"is {traffic.tier}, and that tier has no models"
    timeouts = timeouts_of(traffic)
    if timeouts is not None:
        try:
            check_timeouts(timeouts, of=f"the class {name}")
        except TimeoutsDoNotFit as error:
            yield f"{at}.timeouts", f"do not add up. {str(error).removesuffix('.')}"

"""Reading what a tenant's rules are made of: its policies in its own schema; its plan and the prices in the shared one.

Never both in one transaction: what was read from the shared schema is read again after the rules are written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from budgets.selectors.policies import newest_policies
from budgets.selectors.subscriptions import current_subscription
from budgets.services.plan_defaults import InvalidPlanDefaults, PlanDefaults, read_plan_defaults
from budgets.services.policies import PolicyKind
from kernel.ids import Tag
from routing.pricing.book import PriceBook
from routing.rules.effective import PlanSource, Policies, PolicySource, effective_rules
from routing.rules.model_names import lookups
from routing.selectors.prices import model_prices
from tenants.selectors.plans import latest_plans, plan_version

if TYPE_CHECKING:
    from budgets.models import PolicyVersion, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What the tenant's own schema says. `plan` is the code and version of its plan."""

    plan: tuple[str, int] | None
    policies: Policies

    @property
    def is_nothing(self) -> bool:
        return self.plan is None and not self.policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the shared schema says: the plan, the prices of models that may be named, and the models of all plans."""

    plan: PlanSource | None
    book: PriceBook
    catalogue: tuple[str, ...]


def read_own() -> Own:
    """From the schema of the connection. Two queries."""
    return own_of(current_subscription(), newest_policies())


def own_of(subscription: "Subscription | None", policies: "Mapping[PolicyKind, PolicyVersion]") -> Own:
    """The same of what was read already."""
    return Own(
        plan=(subscription.plan_code, subscription.plan_version) if subscription else None,
        policies={
            kind: PolicySource(
                version=row.version,
                document=row.document,
                actor=row.actor,
                reason=row.reason,
                saved_on=f"{row.created_at:%Y-%m-%d}",
            )
            for kind, row in policies.items()
        },
    )


def read_shared(own: Own, *, tag: Tag, at: datetime) -> Shared:
    """What the tenant's rules need from the shared schema, with the prices as the tenant is charged at `at`."""
    plan = plan_source(*own.plan) if own.plan else None
    catalogue = _catalogue()
    rules = effective_rules(plan=plan, policies=own.policies)
    named = rules.routing.named_models if rules.routing else ()
    return Shared(plan=plan, book=prices_of([*named, *catalogue], tag=tag, at=at), catalogue=catalogue)


def prices_of(names: Iterable[str], *, tag: Tag | None, at: datetime) -> PriceBook:
    """The prices of models, as policies name them, and of all tools. Without `tag`: those for everybody."""
    return model_prices(
        models=[pair for name in names for pair in lookups(name)], at=at, tag=tag or "", with_tools=True
    )


def plan_source(code: str, version: int) -> PlanSource | None:
    """The version of the plan, read; None where there is none."""
    plan = plan_version(code=code, version=version)
    return None if plan is None else PlanSource(code=code, version=version, defaults=read_plan_defaults(plan.defaults))


def _catalogue() -> tuple[str, ...]:
    names: dict[str, None] = {}
    for plan in latest_plans():
        defaults = _readable(plan.defaults)
        if defaults is not None and defaults.routing is not UNSET:
            names |= dict.fromkeys(defaults.routing.named_models)
    return tuple(names)


def _readable(defaults: Any) -> PlanDefaults | None:
    # Another's plan that cannot be read is no reason to leave this tenant without its rules.
    try:
        return read_plan_defaults(defaults)
    except InvalidPlanDefaults:
        return None


def with_policy(own: Own, kind: PolicyKind, document: Any) -> Own:
    """As if the document were the newest version of its kind."""
    version = own.policies[kind].version + 1 if kind in own.policies else 1
    return Own(plan=own.plan, policies={**own.policies, kind: PolicySource(version=version, document=document)})

"""Which kinds of action are allowed, and how often: the shapes of the contract's v0.1.26 policies."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from math import ceil
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from budgets.services.policy_refusal import InvalidPolicy, read_part
from budgets.services.rule_parts import Name, Part
from budgets.services.scope_patterns import ScopeNeverMatches, scope_regex

ActionKind = Annotated[str, Meta(min_length=1, max_length=64)]
Host = Annotated[str, Meta(min_length=1, max_length=253)]
ResourceType = Annotated[str, Meta(min_length=1, max_length=128)]
CallsMax = Annotated[int, Meta(ge=1, le=100_000)]
ThresholdPct = Annotated[float, Meta(ge=0.01, le=0.99)]
RunTtlMs = Annotated[int, Meta(ge=60_000, le=604_800_000)]


class RiskClass(StrEnum):
    READ_ONLY = "read_only"
    LOCAL_MUTATION = "local_mutation"
    SIDE_EFFECT = "side_effect"
    EXTERNAL_SIDE_EFFECT = "external_side_effect"
    HIGH_RISK = "high_risk"


class Window(StrEnum):
    PER_RUN = "per_run"
    PER_MINUTE = "per_minute_tumbling"
    PER_HOUR = "per_hour_tumbling"
    PER_DAY = "per_day_tumbling"
    PER_TENANT_PER_DAY = "per_tenant_per_day"


#: The one kind whose class the contract's text names; others are the document's to say.
KNOWN_RISK_CLASSES: Final[Mapping[str, RiskClass]] = {"llm.completion": RiskClass.SIDE_EFFECT}


class CallQuota(Part, frozen=True, kw_only=True):
    """So many calls in a window; an event announces when `threshold_pct` of them are made."""

    max_calls: CallsMax
    window: Window
    per_run_counter_ttl_ms: RunTtlMs | UnsetType = UNSET
    threshold_pct: ThresholdPct = 0.8

    @property
    def threshold(self) -> int:
        """The call with which the threshold is reached."""
        return ceil(self.max_calls * Decimal(str(self.threshold_pct)))


class ActionQuota(CallQuota, frozen=True, kw_only=True):
    action_kind: ActionKind
    host_allowlist: Annotated[tuple[Host, ...], Meta(max_length=256)] = ()
    recipient_domain_allowlist: Annotated[tuple[Host, ...], Meta(max_length=256)] = ()
    resource_type_allowlist: Annotated[tuple[ResourceType, ...], Meta(max_length=256)] = ()

    @property
    def lists(self) -> Mapping[str, tuple[str, ...]]:
        """What it is narrowed to, in one order, by the names that decisions know."""
        lists = {
            "hosts": tuple(sorted({host.lower() for host in self.host_allowlist})),
            "recipient_domains": tuple(sorted({domain.lower() for domain in self.recipient_domain_allowlist})),
            "resource_types": tuple(sorted(set(self.resource_type_allowlist))),
        }
        return {name: values for name, values in lists.items() if values}

    def counts_as(self, other: "ActionQuota") -> bool:
        """Whether both count the same calls in the same windows."""
        return (self.action_kind, self.window, self.lists) == (other.action_kind, other.window, other.lists)


class RiskClassQuota(CallQuota, frozen=True, kw_only=True):
    risk_class: RiskClass

    def counts_as(self, other: "RiskClassQuota") -> bool:
        return (self.risk_class, self.window) == (other.risk_class, other.window)


class Policy(Part, frozen=True, kw_only=True):
    """The contract's Policy, as far as it is about actions. An empty `allowed_action_kinds` allows all."""

    id: Name
    scope_pattern: Annotated[str, Meta(min_length=1, max_length=1024)] = "*"
    allowed_action_kinds: Annotated[tuple[ActionKind, ...], Meta(max_length=256)] = ()
    denied_action_kinds: Annotated[tuple[ActionKind, ...], Meta(max_length=256)] = ()
    action_quotas: Annotated[tuple[ActionQuota, ...], Meta(max_length=256)] = ()
    risk_class_quotas: Annotated[tuple[RiskClassQuota, ...], Meta(max_length=64)] = ()

    def permits(self, kind: str) -> bool:
        return kind not in self.denied_action_kinds and (
            not self.allowed_action_kinds or kind in self.allowed_action_kinds
        )


class ActionPolicy(Part, frozen=True, kw_only=True):
    policies: Annotated[tuple[Policy, ...], Meta(max_length=64)] = ()
    risk_classes: Annotated[dict[ActionKind, RiskClass], Meta(max_length=1024)] = {}

    @property
    def classes(self) -> Mapping[str, RiskClass]:
        return {**KNOWN_RISK_CLASSES, **self.risk_classes}


def read_action_policy(document: Mapping[str, Any], *, slug: str) -> ActionPolicy:
    """The policies of the tenant `slug`. Raises `InvalidPolicy`, also for a part that can never match."""
    actions = read_part(document, ActionPolicy)
    ids = [policy.id for policy in actions.policies]
    for number, policy in enumerate(actions.policies):
        at = f"policies[{number}]"
        if policy.id in ids[:number]:
            raise InvalidPolicy(f"{at}.id is that of another policy; give each its own.", field=f"{at}.id")
        for field, must in _contradictions(policy, actions.classes, slug=slug):
            raise InvalidPolicy(f"{at}{field} {must}.", field=f"{at}{field}")
    return actions


def _contradictions(policy: Policy, classes: Mapping[str, RiskClass], *, slug: str) -> Iterator[tuple[str, str]]:
    """Fields of the policy that can never have an effect, and what to mend."""
    try:
        scope_regex(policy.scope_pattern, slug=slug)
    except ScopeNeverMatches as error:
        yield ".scope_pattern", str(error)
    if not (
        policy.allowed_action_kinds or policy.denied_action_kinds or policy.action_quotas or policy.risk_class_quotas
    ):
        yield "", "decides nothing; give it kinds or quotas, or remove it"
    for number, kind in enumerate(policy.denied_action_kinds):
        if kind in policy.allowed_action_kinds:
            yield f".denied_action_kinds[{number}]", "is allowed by the same policy; keep it in one list"
    yield from _idle_quotas(policy, classes)


def _idle_quotas(policy: Policy, classes: Mapping[str, RiskClass]) -> Iterator[tuple[str, str]]:
    for number, quota in enumerate(policy.action_quotas):
        at = f".action_quotas[{number}]"
        if not policy.permits(quota.action_kind):
            yield f"{at}.action_kind", "is a kind that the same policy refuses, so that nothing is ever counted"
        if any(quota.counts_as(other) for other in policy.action_quotas[:number]):
            yield at, "counts the same as another quota of the policy; keep one of them"
        yield from _ttl(quota, at)
    for number, of_class in enumerate(policy.risk_class_quotas):
        at = f".risk_class_quotas[{number}]"
        kinds = [kind for kind, risk in classes.items() if risk == of_class.risk_class]
        if not any(policy.permits(kind) for kind in kinds):
            yield (
                f"{at}.risk_class",
                "is the class of no kind that the policy permits; name such kinds in risk_classes",
            )
        if any(of_class.counts_as(other) for other in policy.risk_class_quotas[:number]):
            yield at, "counts the same as another quota of the policy; keep one of them"
        yield from _ttl(of_class, at)


def _ttl(quota: CallQuota, at: str) -> Iterator[tuple[str, str]]:
    if quota.per_run_counter_ttl_ms is not UNSET and quota.window != Window.PER_RUN:
        yield f"{at}.per_run_counter_ttl_ms", "is for the window per_run only; remove it"

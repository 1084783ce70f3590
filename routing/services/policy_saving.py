"""Saving a tenant's policy: checked against prices and plan, kept as a version, compiled and in force."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from budgets.selectors.policies import policy_version
from budgets.services.policies import NewPolicy, PolicyKind, read_policy, restore_policy, save_policy
from budgets.services.routing_policy import RoutingPolicy
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.rules.effective import effective_rules
from routing.selectors.rule_sources import prices_of, read_own, read_shared, with_policy
from routing.services.routing_checks import check_models_left, check_routing
from routing.services.rulesets import publish_ruleset

if TYPE_CHECKING:
    from budgets.models import PolicyVersion


def put_policy(*, tag: Tag, slug: str, new: NewPolicy, actor: Actor) -> "PolicyVersion":
    """The version that is in force when this returns. Safe to repeat: the same document is the same version.

    Raises `InvalidPolicy`, `PolicyChanged`, `TenantIsClosed`; and `RulesBusy`, after which the version is saved and
    comes into force with the next change.
    """
    check_policy(tag=tag, slug=slug, kind=new.kind, document=new.document)
    with in_tenant(tag):
        version = save_policy(new, actor=actor)
    publish_ruleset(tag=tag, actor=actor)
    return version


def put_policy_back(
    *, tag: Tag, slug: str, kind: PolicyKind, version: int, reason: str, actor: Actor
) -> "PolicyVersion":
    """What `version` said, as the newest version, if it can still be. Raises also `PolicyVersionNotFound`."""
    with in_tenant(tag):
        document = policy_version(kind=kind, version=version).document
    check_policy(tag=tag, slug=slug, kind=kind, document=document)
    with in_tenant(tag):
        restored = restore_policy(
            kind=kind, version=version, reason=reason or f"Back to version {version}.", actor=actor
        )
    publish_ruleset(tag=tag, actor=actor)
    return restored


def check_policy(*, tag: Tag, slug: str, kind: PolicyKind, document: Mapping[str, Any]) -> None:
    """Refuse what could not be saved. Raises `InvalidPolicy`."""
    policy = read_policy(kind, document, slug=slug)
    if kind not in {PolicyKind.LIMITS, PolicyKind.ROUTING} or not document:
        return
    with in_tenant(tag):
        own = with_policy(read_own(), kind, document)
    now = datetime.now(UTC)
    shared = read_shared(own, tag=tag, at=now)
    rules = effective_rules(plan=shared.plan, policies=own.policies)
    if isinstance(policy, RoutingPolicy):
        check_routing(policy, rules=rules, book=prices_of(policy.named_models, tag=tag, at=now))
    check_models_left(rules)

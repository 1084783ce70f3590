"""A tenant's policies, each kind in versions: the newest is in force, and going back makes a new one.

An empty document decides nothing: the plan's own holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from budgets.models import PolicyVersion
from budgets.models.choices import PolicyKind
from budgets.selectors.policies import PolicyVersionNotFound, newest_policy, policy_version
from budgets.services.action_policy import read_action_policy
from budgets.services.guards import require_not_closed
from budgets.services.journal import Journal, open_journal
from budgets.services.policy_refusal import InvalidPolicy, read_part
from budgets.services.routing_policy import RoutingPolicy
from budgets.services.rule_parts import Part, RuleParts
from budgets.services.shadow_policy import RouterSwitchPolicy, read_shadow_policy
from budgets.services.tool_policy import read_tool_policy
from kernel.actor import Actor
from telemetry.services import audit, outbox

__all__ = [
    "InvalidPolicy",
    "NewPolicy",
    "PolicyChanged",
    "PolicyKind",
    "PolicyVersionNotFound",
    "read_policy",
    "restore_policy",
    "save_policy",
    "save_policy_in",
]


class PolicyChanged(Exception):
    """Somebody else saved a version since the one that this was based on; the text is the newest version's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy:
    """A version to be saved. `based_on` is the version that its author saw, 0 for none, None not to ask."""

    kind: PolicyKind
    document: Mapping[str, Any]
    reason: str
    based_on: int | None = None


def read_policy(kind: PolicyKind, document: Mapping[str, Any], *, slug: str) -> Part:
    """The document as what its kind should be, for the tenant `slug`. Raises `InvalidPolicy`."""
    match kind:
        case PolicyKind.LIMITS:
            return read_part(document, RuleParts)
        case PolicyKind.TOOLS:
            return read_tool_policy(document)
        case PolicyKind.ACTIONS:
            return read_action_policy(document, slug=slug)
        case PolicyKind.ROUTING:
            return read_part(document, RoutingPolicy)
        case PolicyKind.SHADOW:
            return read_shadow_policy(document, slug=slug)
        case PolicyKind.ROUTER_SWITCH:
            return read_part(document, RouterSwitchPolicy)


def save_policy(new: NewPolicy, *, actor: Actor) -> PolicyVersion:
    """The next version of its kind, in the schema of the connection; the newest one where that says the same.

    Two at once: the second follows the first, or is refused where it names what it is based on.
    Raises `InvalidPolicy`, `PolicyChanged`, `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        return save_policy_in(journal, new)


def save_policy_in(journal: Journal, new: NewPolicy) -> PolicyVersion:
    """As `save_policy`, within an open journal: its lock is what keeps versions apart."""
    require_not_closed(journal)
    read_policy(new.kind, new.document, slug=journal.head.slug)
    newest = newest_policy(new.kind)
    number = newest.version if newest else 0
    if new.based_on is not None and new.based_on != number:
        raise PolicyChanged(number)
    if newest is not None and newest.document == new.document:
        return newest
    version = PolicyVersion.objects.create(
        kind=new.kind,
        version=number + 1,
        document=dict(new.document),
        reason=new.reason,
        actor=journal.actor.name,
        created_at=journal.now,
    )
    _leave_trace(journal, version, before=newest)
    return version


def restore_policy(*, kind: PolicyKind, version: int, reason: str, actor: Actor) -> PolicyVersion:
    """What `version` said, as the newest version. Raises as `save_policy`, and `PolicyVersionNotFound`."""
    with open_journal(actor=actor) as journal:
        earlier = policy_version(kind=kind, version=version)
        return save_policy_in(journal, NewPolicy(kind=kind, document=earlier.document, reason=reason))


def _leave_trace(journal: Journal, version: PolicyVersion, *, before: PolicyVersion | None) -> None:
    event_type = "policy.updated" if before else "policy.created"
    audit.record(
        actor=journal.actor,
        action=event_type,
        target=str(version),
        at=journal.now,
        before=before.document if before else None,
        after=version.document,
    )
    content = {
        "tenant_id": journal.head.slug,
        "policy_id": version.kind,
        "version": version.version,
        "reason": version.reason,
    }
    event = outbox.Event(event_type=event_type, content=content, scope_path=f"tenant:{journal.head.slug}")
    outbox.announce(event, actor=journal.actor, at=journal.now)

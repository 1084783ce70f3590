"""Ending a tenant's shadow mode, in force at once."""

from datetime import datetime
from typing import TYPE_CHECKING

from budgets.services.shadow import enforce_from
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.services.rulesets import publish_ruleset

if TYPE_CHECKING:
    from budgets.models import PolicyVersion


def end_shadow(*, tag: Tag, moment: datetime | None, reason: str, actor: Actor) -> "PolicyVersion":
    """What was only written down is refused from `moment` on, or from the next decision on.

    Raises `NotInShadow`, `TenantIsClosed`; and `RulesBusy`, after which it is saved and comes into force later.
    """
    with in_tenant(tag):
        version = enforce_from(moment=moment, reason=reason, actor=actor)
    publish_ruleset(tag=tag, actor=actor)
    return version

"""Shadow mode, and the switch that takes the router out: what may stand in their documents."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from budgets.scopes import InvalidScope, read_scope_path
from budgets.services.policy_refusal import InvalidPolicy, read_part
from budgets.services.routing_policy import TierName
from budgets.services.rule_parts import Part


class Check(StrEnum):
    """What is judged and logged, and blocks nothing."""

    LIMITS = "limits"
    RUN = "run"
    TOOLS = "tools"
    ACTIONS = "actions"
    ROUTES = "routes"
    RATE = "rate"
    MONEY = "money"


class ShadowPolicy(Part, frozen=True, kw_only=True):
    """`is_on`: the whole tenant. Else some checks everywhere, and all checks on the budgets of some scopes.

    `enforce_from` ends all of it by itself at that moment.
    """

    is_on: bool = False
    checks: Annotated[tuple[Check, ...], Meta(max_length=7)] = ()
    scopes: Annotated[tuple[str, ...], Meta(max_length=1_000)] = ()
    enforce_from: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET

    @property
    def is_any(self) -> bool:
        """Whether anything is in shadow, until `enforce_from`."""
        return self.is_on or bool(self.checks) or bool(self.scopes)

    def is_over(self, at: datetime | None) -> bool:
        """Whether `enforce_from` has come."""
        return at is not None and self.enforce_from is not UNSET and self.enforce_from <= at


class RouterSwitchPolicy(Part, frozen=True, kw_only=True):
    """On: everything goes to one tier, whatever the router would choose."""

    is_on: bool = False
    tier: TierName = TierName.MEDIUM


def read_shadow_policy(document: Mapping[str, Any], *, slug: str) -> ShadowPolicy:
    """The policy. Raises `InvalidPolicy`, also for a scope of another tenant."""
    policy = read_part(document, ShadowPolicy)
    for number, scope in enumerate(policy.scopes):
        try:
            read_scope_path(scope, slug=slug)
        except InvalidScope as error:
            raise InvalidPolicy(f"scopes[{number}] {error}.", field=f"scopes[{number}]") from None
    return policy

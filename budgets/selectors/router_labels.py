"""What people said of the router's choices, of the tenant whose schema the connection is in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from budgets.models import RouterLabel
from budgets.models.choices import PolicyKind
from budgets.selectors.policies import newest_policy

#: Who takes the router out while it is wrong too often, and puts it back. What a person has thrown, a person lifts.
ROUTER_WATCH: Final = "router accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLine:
    """The tier that the router chose and the one that was needed, for a decision made `at`."""

    at: datetime
    chosen: str
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSwitchState:
    """The switch that takes the router out: since when it is as it is, by whom and why.

    `since` is None where it never was thrown.
    """

    is_on: bool
    since: datetime | None
    by: str
    reason: str = ""


def newest_labels(*, since: datetime | None, limit: int) -> list[LabelLine]:
    """Labels of decisions made since a moment, the newest first."""
    rows = RouterLabel.objects.all() if since is None else RouterLabel.objects.filter(at__gte=since)
    return [
        LabelLine(at=at, chosen=chosen, needed=needed)
        for at, chosen, needed in rows.order_by("-at").values_list("at", "chosen", "needed")[:limit]
    ]


def router_switch() -> RouterSwitchState:
    """As the newest policy says."""
    newest = newest_policy(PolicyKind.ROUTER_SWITCH)
    if newest is None:
        return RouterSwitchState(is_on=False, since=None, by="")
    return RouterSwitchState(
        is_on=bool(newest.document.get("is_on", False)),
        since=newest.created_at,
        by=newest.actor,
        reason=newest.reason,
    )

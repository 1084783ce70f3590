"""What people said of the router's choices, of the tenant whose schema the connection is in, or of several tenants."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from budgets.models import RouterLabel
from budgets.models.choices import PolicyKind
from budgets.selectors.across import rows_across
from budgets.selectors.policies import newest_policy
from kernel.ids import Tag

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


_NEVER_THROWN: Final = RouterSwitchState(is_on=False, since=None, by="")


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
    return _NEVER_THROWN if newest is None else _state(newest.document, newest.created_at, newest.actor, newest.reason)


def routers_across(tags: Sequence[Tag], *, limit: int) -> dict[Tag, tuple[RouterSwitchState, list[LabelLine]]]:
    """`router_switch` of several tenants, and the newest labels since each was thrown or lifted. One query."""
    return {
        Tag(row["tag"]): (_thrown(row), _labels(row)) for row in rows_across("router_of_tenant", tags, {"limit": limit})
    }


def _thrown(row: dict[str, Any]) -> RouterSwitchState:
    if row["actor"] is None:
        return _NEVER_THROWN
    # Django hands JSON on as text.
    return _state(json.loads(row["document"]), row["created_at"], row["actor"], row["reason"])


def _state(document: dict[str, Any], since: datetime, by: str, reason: str) -> RouterSwitchState:
    return RouterSwitchState(is_on=bool(document.get("is_on", False)), since=since, by=by, reason=reason)


def _labels(row: dict[str, Any]) -> list[LabelLine]:
    columns = [row[name] or [] for name in ("at", "chosen", "needed")]
    return [LabelLine(at=at, chosen=chosen, needed=needed) for at, chosen, needed in zip(*columns, strict=True)]

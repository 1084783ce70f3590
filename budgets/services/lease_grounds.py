"""What a lease of a credential stands on: a decision that still holds, and a tool that the plan allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from budgets.models import Decision, KillSwitch, LedgerHead, Reservation, Ruleset
from budgets.models.choices import ReservationStatus, TenantStatus, Verdict
from budgets.scopes import ScopePath
from budgets.selectors.switches import covered_holds, thrown_switches
from budgets.selectors.tool_verdicts import tool_verdicts, verdict_of_all
from kernel.switches import SwitchLevel
from kernel.tenancy import in_public
from tenants.selectors.platform_switches import thrown_platform_switches


class NoGrounds(StrEnum):
    """Why not."""

    DECISION_NOT_FOUND = "DECISION_NOT_FOUND"
    DECISION_OUTSIDE_KEY = "DECISION_OUTSIDE_KEY"
    DECISION_DENIED = "DECISION_DENIED"
    DECISION_HOLDS_NOTHING = "DECISION_HOLDS_NOTHING"
    DECISION_OVER = "DECISION_OVER"
    TENANT_CLOSED = "TENANT_CLOSED"
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    KILL_SWITCH = "KILL_SWITCH"
    TOOL_OUTSIDE_SCOPE = "TOOL_OUTSIDE_SCOPE"
    TOOL_DENIED = "TOOL_DENIED"
    TOOL_GATED = "TOOL_GATED"


class LeaseRefused(Exception):
    """There are no grounds for a lease; `why` says which are missing."""

    def __init__(self, why: NoGrounds) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """A decision that holds until then, and the tool that it was made for; None where it was not for a tool.

    `stopped_tools` are the names of tools that are stopped now.
    """

    slug: str
    holds_until: datetime
    tool: str | None
    stopped_tools: frozenset[str] = frozenset()


def decision_slug(decision_id: UUID, *, scope_filter: Sequence[str]) -> str:
    """The slug of the tenant, if a key that is confined to these scopes reaches the decision. Raises `LeaseRefused`."""
    decision = Decision.objects.filter(pk=decision_id).only("scope_path").first()
    if decision is None:
        raise LeaseRefused(NoGrounds.DECISION_NOT_FOUND)
    if not ScopePath(decision.scope_path or "").is_within(tuple(scope_filter)):
        raise LeaseRefused(NoGrounds.DECISION_OUTSIDE_KEY)
    return LedgerHead.objects.values_list("slug", flat=True).get(pk=1)


def live_decision(decision_id: UUID, *, scope_filter: Sequence[str], now: datetime) -> Grounds:
    """The decision, if it allowed something, still holds it, and nothing has been stopped since.

    In the schema that the connection is in. Raises `LeaseRefused`.
    """
    slug, status = LedgerHead.objects.values_list("slug", "status").get(pk=1)
    if status == TenantStatus.CLOSED:
        raise LeaseRefused(NoGrounds.TENANT_CLOSED)
    decision = Decision.objects.filter(pk=decision_id).only("verdict", "scope_path").first()
    if decision is None:
        raise LeaseRefused(NoGrounds.DECISION_NOT_FOUND)
    if not ScopePath(decision.scope_path or "").is_within(tuple(scope_filter)):
        raise LeaseRefused(NoGrounds.DECISION_OUTSIDE_KEY)
    if decision.verdict == Verdict.DENY:
        raise LeaseRefused(NoGrounds.DECISION_DENIED)
    # A reservation and the decision that allowed it share their id.
    hold = Reservation.objects.filter(pk=decision_id).only("status", "expires_at", "action").first()
    if hold is None:
        raise LeaseRefused(NoGrounds.DECISION_HOLDS_NOTHING)
    if hold.status != ReservationStatus.ACTIVE or hold.expires_at <= now:
        raise LeaseRefused(NoGrounds.DECISION_OVER)
    if status == TenantStatus.SUSPENDED:
        raise LeaseRefused(NoGrounds.TENANT_SUSPENDED)
    tool = _tool_of(hold.action)
    thrown = _thrown(now=now)
    if _is_stopped(decision_id, tool, thrown):
        raise LeaseRefused(NoGrounds.KILL_SWITCH)
    stopped_tools = frozenset(switch.name.lower() for switch in thrown if switch.level == SwitchLevel.TOOL)
    return Grounds(slug=slug, holds_until=hold.expires_at, tool=tool, stopped_tools=stopped_tools)


def require_tool(grounds: Grounds, *, pattern: str) -> None:
    """That the plan's tool policy allows the tool of the decision, and that it is one of those that `pattern` means.

    A decision that was not for a tool leases what the policy allows for the whole of `pattern`, while none of it is
    stopped. Raises `LeaseRefused`.
    """
    if grounds.tool is not None and not fnmatchcase(grounds.tool.lower(), _literal(pattern)):
        raise LeaseRefused(NoGrounds.TOOL_OUTSIDE_SCOPE)
    if grounds.tool is None and any(fnmatchcase(name, _literal(pattern)) for name in grounds.stopped_tools):
        raise LeaseRefused(NoGrounds.KILL_SWITCH)
    rules = Ruleset.objects.filter(pk=1).values_list("document__tools", flat=True).first()
    if not rules:
        return
    verdict = verdict_of_all(rules, pattern) if grounds.tool is None else tool_verdicts(rules, [grounds.tool])[0]
    if verdict != "allow":
        raise LeaseRefused(NoGrounds.TOOL_GATED if verdict == "gated" else NoGrounds.TOOL_DENIED)


def _tool_of(action: dict[str, Any]) -> str | None:
    kind = str(action.get("kind", "")).lower()
    return str(action.get("name", "")) if kind == "tool" or kind.startswith("tool.") else None


def _thrown(*, now: datetime) -> list[KillSwitch | Any]:
    """The tenant's switches and the platform's."""
    thrown: list[KillSwitch | Any] = list(thrown_switches(now=now))
    with in_public():
        thrown += list(thrown_platform_switches(now=now))
    return thrown


def _is_stopped(hold_id: UUID, tool: str | None, thrown: Sequence[KillSwitch | Any]) -> bool:
    """Whether a switch would refuse what is held, were it asked for now."""
    return any(
        (switch.level == SwitchLevel.TOOL and tool is not None and switch.name.lower() == tool.lower())
        or covered_holds(level=SwitchLevel(switch.level), name=switch.name).filter(pk=hold_id).exists()
        for switch in thrown
    )


def _literal(pattern: str) -> str:
    # The policy's patterns know the asterisk alone.
    return pattern.lower().replace("[", "[[]").replace("?", "[?]")

"""Watching how often the router is right, and taking it out while it is not: everything then goes to one tier.

The state of the switch is what makes the alarm come once: it is read, judged and thrown under the ledger head.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from budgets.selectors.router_labels import (
    ROUTER_WATCH,
    LabelLine,
    RouterSwitchState,
    newest_labels,
    router_switch,
    routers_across,
)
from budgets.services.journal import Journal, open_journal
from budgets.services.policies import NewPolicy, PolicyKind, save_policy_in
from budgets.services.routing_policy import TierName
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.services.classifier import UNSURE_TIER
from routing.services.router_accuracy import (
    DEFAULT_TARGET,
    Accuracy,
    Label,
    RouterVerdict,
    accuracy_of,
    judge,
    sends_all_to_medium,
)
from routing.services.rulesets import publish_ruleset
from telemetry.services import outbox

#: Labels that count, the newest ones: a long good past must not hide that it has become worse.
WINDOW: Final = 500
#: Who throws the switch.
WATCH: Final = Actor(name=ROUTER_WATCH, actor_type="system")
_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterReport:
    """The accuracy of the newest labels since the switch was last thrown or lifted, and what follows from it."""

    accuracy: Accuracy
    verdict: RouterVerdict
    switch: RouterSwitchState
    target: float


def router_report(*, target: float = DEFAULT_TARGET) -> RouterReport:
    """For the tenant whose schema the connection is in."""
    switch = router_switch()
    return _report(switch, newest_labels(since=switch.since, limit=WINDOW), target=target)


def router_reports(tags: Sequence[Tag], *, target: float = DEFAULT_TARGET) -> dict[Tag, RouterReport]:
    """Of several tenants, who are at most `across.TENANTS_MAX`. One query."""
    found = routers_across(tags, limit=WINDOW)
    return {tag: _report(switch, labels, target=target) for tag, (switch, labels) in found.items()}


def _report(switch: RouterSwitchState, labels: Iterable[LabelLine], *, target: float) -> RouterReport:
    accuracy = accuracy_of(map(_label, labels))
    return RouterReport(accuracy=accuracy, verdict=judge(accuracy, target=target), switch=switch, target=target)


def watch_router(*, tag: Tag, target: float = DEFAULT_TARGET) -> bool:
    """Throw or lift the fallback switch as the labels say; whether it was changed. Safe to repeat.

    Raises `TenantIsClosed`, `RulesBusy`.
    """
    with in_tenant(tag), open_journal(actor=WATCH) as journal:
        report = router_report(target=target)
        is_on = report.switch.is_on
        is_needed = sends_all_to_medium(is_on=is_on, accuracy=report.accuracy, target=target)
        if is_needed == is_on or (is_on and report.switch.by != WATCH.name):
            return False
        _switch(journal, report, is_on=is_needed)
    publish_ruleset(tag=tag, actor=WATCH)
    return True


def _switch(journal: Journal, report: RouterReport, *, is_on: bool) -> None:
    accuracy = report.accuracy
    found = f"{accuracy.correct} of {accuracy.labels} labels"
    reason = f"The router was right in {found}, the target is {report.target:.0%}."
    document = {"is_on": True, "tier": str(UNSURE_TIER)} if is_on else {"is_on": False}
    save_policy_in(journal, NewPolicy(kind=PolicyKind.ROUTER_SWITCH, document=document, reason=reason))
    content = {
        "tenant_id": journal.head.slug,
        "labels": accuracy.labels,
        "correct": accuracy.correct,
        "under_routed": accuracy.under_routed,
        "over_routed": accuracy.over_routed,
        "target_ppm": round(report.target * _PPM),
        "accuracy_low_ppm": round(accuracy.interval.low * _PPM),
        "accuracy_high_ppm": round(accuracy.interval.high * _PPM),
    }
    event_type = "router.drifted" if is_on else "router.recovered"
    event = outbox.Event(event_type=event_type, content=content, scope_path=f"tenant:{journal.head.slug}")
    outbox.announce(event, actor=journal.actor, at=journal.now)


def _label(line: LabelLine) -> Label:
    return Label(chosen=TierName(line.chosen), needed=TierName(line.needed))

"""By which rules alerts are raised: the platform's own, and what a tenant's people have changed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from budgets.models import AlertRule, Budget
from budgets.models.choices import AlertKind
from budgets.services.alert_lock import lock_alerts
from budgets.services.journal import BudgetNotFound
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox
from tenants.services.standing import look_soon

_PPM: Final = 1_000_000
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
#: Thresholds of a kind for whoever has changed nothing, in the kind's own measure. Those without one have a zero.
DEFAULTS: Final[Mapping[AlertKind, tuple[int, ...]]] = {
    AlertKind.BUDGET_THRESHOLD: (800_000, 950_000, _PPM),
    AlertKind.EXHAUSTION_FORECAST: (6 * _HOUR_S,),
    AlertKind.BURN_RATE: (3 * _PPM,),
    AlertKind.DENIAL_SPIKE: (100_000,),
    AlertKind.KEY_EXPIRING: (3 * _DAY_S, 14 * _DAY_S),
    AlertKind.CREDENTIAL_EXPIRING: (3 * _DAY_S, 14 * _DAY_S),
}
#: What a threshold of each kind may be, both ends included.
BOUNDS: Final[Mapping[AlertKind, tuple[int, int]]] = {
    AlertKind.BUDGET_THRESHOLD: (10_000, 10 * _PPM),
    AlertKind.EXHAUSTION_FORECAST: (900, 60 * _DAY_S),
    AlertKind.BURN_RATE: (1_500_000, 1_000 * _PPM),
    AlertKind.DENIAL_SPIKE: (10_000, _PPM),
    AlertKind.KEY_EXPIRING: (_HOUR_S, 365 * _DAY_S),
    AlertKind.CREDENTIAL_EXPIRING: (_HOUR_S, 365 * _DAY_S),
}
THRESHOLDS_MAX: Final = 10


class ThresholdOutOfRange(Exception):
    """One of the thresholds is not within `BOUNDS`, they are too many, or the kind has none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`thresholds` in the kind's own measure, ascending. Switched off it raises nothing, and what is open recovers."""

    thresholds: tuple[int, ...]
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """The tenant's rules; `of_budgets` are the budgets with percentages of their own."""

    of_kinds: Mapping[AlertKind, Rule] = field(default_factory=dict)
    of_budgets: Mapping[UUID, Rule] = field(default_factory=dict)

    def thresholds(self, kind: AlertKind, *, budget_id: UUID | None = None) -> tuple[int, ...]:
        """Empty where the kind, or the budget's own rule, is switched off."""
        rule = self.of_kinds.get(kind) or default_rule(kind)
        if rule.is_on and budget_id is not None:
            rule = self.of_budgets.get(budget_id, rule)
        return rule.thresholds if rule.is_on else ()

    @property
    def lowest_percentage(self) -> int:
        """No budget has a threshold below this one, in parts per million."""
        rules = (self.of_kinds.get(AlertKind.BUDGET_THRESHOLD), *self.of_budgets.values())
        known = [rule.thresholds[0] for rule in rules if rule and rule.thresholds]
        return min([*known, DEFAULTS[AlertKind.BUDGET_THRESHOLD][0]])


def default_rule(kind: AlertKind) -> Rule:
    return Rule(thresholds=DEFAULTS.get(kind, (0,)))


def alert_rules() -> Rules:
    """Those of the tenant whose schema the connection is in. One query."""
    of_kinds, of_budgets = {}, {}
    for row in AlertRule.objects.all():
        rule = Rule(thresholds=tuple(row.thresholds), is_on=row.is_on)
        if row.budget_id is None:
            of_kinds[AlertKind(row.kind)] = rule
        else:
            of_budgets[row.budget_id] = rule
    return Rules(of_kinds=of_kinds, of_budgets=of_budgets)


def set_rule(
    *, tag: Tag, kind: AlertKind, thresholds: Sequence[int], is_on: bool, actor: Actor, budget_id: UUID | None = None
) -> bool:
    """Change a kind's rule, or with `budget_id` the percentages of one budget; False where it is so already.

    Raises `ThresholdOutOfRange` or `BudgetNotFound`. The next look at the books follows it, which is soon.
    """
    wanted = Rule(thresholds=_checked(kind, thresholds), is_on=is_on)
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        target = f"alert_rule:{kind}"
        if budget_id is not None:
            budget = Budget.objects.filter(pk=budget_id, run_id=None).first()
            if budget is None or kind != AlertKind.BUDGET_THRESHOLD:
                raise BudgetNotFound(str(budget_id))
            target = f"{target}:{budget.scope_path}:{budget.unit}"
        row = AlertRule.objects.filter(Q(budget_id=budget_id), kind=kind).first()
        before = Rule(tuple(row.thresholds), row.is_on) if row else None
        if wanted == (before or (default_rule(kind) if budget_id is None else None)):
            return False
        row = row or AlertRule(kind=kind, budget_id=budget_id)
        row.thresholds, row.is_on = list(wanted.thresholds), is_on
        row.changed_by, row.changed_at = actor.name, now
        row.save()
        _note(actor, "alert_rule.changed", target, before=before, after=wanted, now=now)
    # An idle tenant is visited by nobody.
    look_soon(tags=[tag])
    return True


def drop_budget_rule(*, tag: Tag, budget_id: UUID, actor: Actor) -> bool:
    """Have a budget follow the tenant's percentages again; False where it does."""
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        found = AlertRule.objects.select_related("budget").filter(budget_id=budget_id).first()
        if found is None or found.budget is None:
            return False
        target = f"alert_rule:{found.kind}:{found.budget.scope_path}:{found.budget.unit}"
        before = Rule(tuple(found.thresholds), found.is_on)
        AlertRule.objects.filter(pk=found.pk).delete()
        _note(actor, "alert_rule.dropped", target, before=before, after=None, now=now)
    look_soon(tags=[tag])
    return True


def _checked(kind: AlertKind, thresholds: Sequence[int]) -> tuple[int, ...]:
    if kind not in BOUNDS:
        return (0,)
    least, most = BOUNDS[kind]
    if not 0 < len(thresholds) <= THRESHOLDS_MAX or not all(least <= each <= most for each in thresholds):
        raise ThresholdOutOfRange(kind)
    return tuple(sorted(set(thresholds)))


def _note(actor: Actor, action: str, target: str, *, before: Rule | None, after: Rule | None, now: datetime) -> None:
    texts = [{"is_on": rule.is_on, "thresholds": list(rule.thresholds)} if rule else None for rule in (before, after)]
    audit.record(actor=actor, action=action, target=target, at=now, before=texts[0], after=texts[1])
    # The protocol has no event for it.
    event = outbox.Event(event_type=f"custom.{action}", content={"rule": target, "before": texts[0], "after": texts[1]})
    outbox.announce(event, actor=actor, at=now)

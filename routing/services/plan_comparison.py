"""What a change of plan changes: limits before and after, money, and what is over its limit at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from budgets.selectors.runs import runs_since, runs_under_way
from budgets.services.subscribing import MoneySteps, PlanRef
from routing.rules.effective import EffectiveRules, PlanSource, Policies, effective_rules
from routing.selectors.effective_limits import EffectiveLimit, plain_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """One limit with its values and places; None where there is none."""

    name: str
    before: EffectiveLimit | None
    after: EffectiveLimit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverAtOnce:
    """A limit that is passed the moment the plan changes: `used` of it is more than it will be."""

    name: str
    used: int
    limit: int
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """What a change does, or did. `plan_before` is None for a tenant without a plan."""

    plan_before: str | None
    plan_after: str
    at: datetime
    is_now: bool
    limits: tuple[LimitChange, ...]
    money: MoneySteps
    over: tuple[OverAtOnce, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """Both plans as they were read, and the policies that stay."""

    old: PlanRef | None
    new: PlanRef
    policies: Policies


def compare(plans: Plans, money: MoneySteps, *, at: datetime, is_now: bool, time_zone: str) -> PlanChange:
    """The change as a whole. Counts runs in the schema of the connection."""
    before = {limit.name: limit for limit in plain_limits(_rules(plans.old, plans.policies))}
    rules = _rules(plans.new, plans.policies)
    after = {limit.name: limit for limit in plain_limits(rules)}
    budgets_over = (
        OverAtOnce(name=f"budget.{step.scope}", used=step.used, limit=max(step.after, 0), unit=str(step.unit))
        for step in money.budgets
        if step.is_over
    )
    return PlanChange(
        plan_before=None if plans.old is None else str(plans.old),
        plan_after=str(plans.new),
        at=at,
        is_now=is_now,
        limits=tuple(
            LimitChange(name=name, before=before.get(name), after=after.get(name))
            for name in sorted(before.keys() | after.keys())
            if _differ(before.get(name), after.get(name))
        ),
        money=money,
        over=(*budgets_over, *(_runs_over(rules, at=at, time_zone=time_zone) if is_now else ())),
    )


def _differ(before: EffectiveLimit | None, after: EffectiveLimit | None) -> bool:
    return before is None or after is None or before.value != after.value


def _runs_over(rules: EffectiveRules, *, at: datetime, time_zone: str) -> Iterator[OverAtOnce]:
    """Limits on runs that what has run already is above. At the limit is not over: it only lets no more begin."""
    midnight = at.astimezone(ZoneInfo(time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    counts: dict[str, Callable[[], int]] = {
        "runs_per_day_max": lambda: runs_since(midnight),
        "runs_per_month_max": lambda: runs_since(midnight.replace(day=1)),
        "concurrent_runs_max": lambda: runs_under_way(now=at),
    }
    for name, count in counts.items():
        held = rules.limits.get(name)
        if held is not None and (used := count()) > held.value:
            yield OverAtOnce(name=f"limits.{name}", used=used, limit=held.value)


def _rules(plan: PlanRef | None, policies: Policies) -> EffectiveRules:
    source = None
    if plan is not None:
        source = PlanSource(code=plan.code, version=plan.version, defaults=plan.defaults)
    return effective_rules(plan=source, policies=policies)

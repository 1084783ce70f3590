"""A tenant's plan: changed now, at a date, or not after all. Money, templates and subscription in one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from budgets.models import Subscription
from budgets.selectors.granted import budgets_at, run_templates
from budgets.selectors.subscriptions import current_subscription
from budgets.services.guards import require_in_business, require_not_closed
from budgets.services.journal import Journal
from budgets.services.plan_defaults import PlanDefaults, scope_of
from budgets.services.plan_money import Books, BudgetStep, budget_steps
from budgets.services.plan_money_taking import take_step
from budgets.services.plan_templates import TemplateStep, take_template_step, template_steps
from telemetry.services import audit, outbox


class SubscriptionChanged(Exception):
    """The tenant's plan is no longer the one that the change was worked out from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRef:
    """A version of a plan, with what it gives."""

    code: str
    version: int
    defaults: PlanDefaults

    def __str__(self) -> str:
        return f"{self.code} v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneySteps:
    budgets: tuple[BudgetStep, ...]
    templates: tuple[TemplateStep, ...]


def money_steps(books: Books, *, old: PlanRef | None, new: PlanRef) -> MoneySteps:
    """What the change would do to the money of the connection's tenant, whose periods are open."""
    defaults = None if old is None else old.defaults
    scopes = {scope_of(books.slug, given.scope) for given in new.defaults.budgets}
    return MoneySteps(
        budgets=tuple(budget_steps(books, old=defaults, new=new.defaults, budgets=budgets_at(scopes))),
        templates=tuple(template_steps(old=defaults, new=new.defaults, templates=run_templates())),
    )


def change_plan_in(journal: Journal, *, old: PlanRef | None, new: PlanRef, at: datetime) -> MoneySteps:
    """Make `new` the plan from `at` on, which is now or was lately. What was to follow is forgotten.

    Raises `SubscriptionChanged`, `TenantIsClosed`, `TenantIsSuspended`.
    """
    require_in_business(journal)
    _require_still_on(old)
    head = journal.head
    scopes = {scope_of(head.slug, given.scope) for given in new.defaults.budgets}
    there = {
        (budget.scope_path, budget.unit): journal.with_period_open(budget)
        for budget in budgets_at(scopes)
        if budget.status != "CLOSED"
    }
    steps = money_steps(Books(slug=head.slug, time_zone=head.time_zone, at=at), old=old, new=new)
    for step in steps.budgets:
        take_step(journal, step, budget=there.get((step.scope, step.unit)), plan=str(new))
    for template in steps.templates:
        take_template_step(journal, template)
    Subscription.objects.update_or_create(
        pk=1,
        defaults={
            "plan_code": new.code,
            "plan_version": new.version,
            "since": at,
            "next_plan_code": None,
            "next_plan_version": None,
            "next_at": None,
        },
    )
    _leave_trace(journal, "plan", before=None if old is None else str(old), after=str(new))
    return steps


def schedule_plan_in(journal: Journal, *, old: PlanRef | None, new: PlanRef, at: datetime) -> None:
    """Have `new` follow at `at`; in place of what was to follow. Raises `SubscriptionChanged`, `TenantIsClosed`."""
    require_not_closed(journal)
    _require_still_on(old)
    Subscription.objects.filter(pk=1).update(next_plan_code=new.code, next_plan_version=new.version, next_at=at)
    _leave_trace(journal, "next_plan", before=None, after=f"{new} from {at.isoformat()}")


def keep_plan_in(journal: Journal) -> bool:
    """Forget the plan that was to follow; whether there was one. Raises `TenantIsClosed`."""
    require_not_closed(journal)
    subscription = current_subscription()
    if subscription is None or subscription.next_at is None:
        return False
    before = f"{subscription.next_plan_code} v{subscription.next_plan_version} from {subscription.next_at.isoformat()}"
    Subscription.objects.filter(pk=1).update(next_plan_code=None, next_plan_version=None, next_at=None)
    _leave_trace(journal, "next_plan", before=before, after=None)
    return True


def month_end(*, now: datetime, time_zone: str) -> datetime:
    """When the month that holds `now` ends in the tenant's time zone: the end of every subscription's period."""
    zone = ZoneInfo(time_zone)
    first = now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1).astimezone(ZoneInfo("UTC"))


def _require_still_on(old: PlanRef | None) -> None:
    subscription = current_subscription()
    current = None if subscription is None else (subscription.plan_code, subscription.plan_version)
    if current != (None if old is None else (old.code, old.version)):
        raise SubscriptionChanged


def _leave_trace(journal: Journal, field: str, *, before: str | None, after: str | None) -> None:
    slug = journal.head.slug
    audit.record(
        actor=journal.actor,
        action=f"tenant.{field}_changed",
        target=slug,
        at=journal.now,
        before={field: before},
        after={field: after},
    )
    content = {"tenant_id": slug, "changed_fields": [field], "previous": {field: before}, "current": {field: after}}
    event = outbox.Event(event_type="tenant.updated", content=content, scope_path=f"tenant:{slug}")
    outbox.announce(event, actor=journal.actor, at=journal.now)

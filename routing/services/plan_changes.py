"""Putting a tenant on another plan: seen before, done now or at the end of its month, and in its rules at once."""

from datetime import UTC, datetime

from budgets.selectors.granted import budgets_at, slug_and_time_zone
from budgets.selectors.subscriptions import current_subscription
from budgets.services.journal import open_journal
from budgets.services.periods import with_periods_open
from budgets.services.plan_defaults import scope_of
from budgets.services.plan_money import Books
from budgets.services.policies import InvalidPolicy
from budgets.services.subscribing import (
    MoneySteps,
    PlanRef,
    change_plan_in,
    keep_plan_in,
    money_steps,
    month_end,
    schedule_plan_in,
)
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.rules.effective import PlanSource, effective_rules
from routing.selectors.rule_sources import plan_source, read_own
from routing.services.plan_comparison import PlanChange, Plans, compare
from routing.services.routing_checks import check_models_left
from routing.services.rulesets import publish_ruleset
from tenants.selectors.plans import latest_plan
from tenants.services.provisioning import set_directory_plan


class PlanNotFound(Exception):
    """There is no such plan, or no such version of it."""


class PlanDoesNotFit(Exception):
    """The plan and the tenant's own policies leave something without a model; the text says what to mend."""


def preview_plan(*, tag: Tag, code: str, version: int | None = None, at_month_end: bool = False) -> PlanChange:
    """What `change_plan` would do. Changes nothing but periods that are due.

    Raises `PlanNotFound`, `PlanDoesNotFit`, `BooksBusy`.
    """
    plans = _read(tag, code, version)
    with in_tenant(tag):
        slug, time_zone = slug_and_time_zone()
        now = datetime.now(UTC)
        at = month_end(now=now, time_zone=time_zone) if at_month_end else now
        with_periods_open(budgets_at(scope_of(slug, given.scope) for given in plans.new.defaults.budgets), now=now)
        money = money_steps(Books(slug=slug, time_zone=time_zone, at=at), old=plans.old, new=plans.new)
        return compare(plans, money, at=at, is_now=not at_month_end, time_zone=time_zone)


def change_plan(
    *, tag: Tag, code: str, version: int | None = None, at_month_end: bool = False, actor: Actor
) -> PlanChange:
    """Put the tenant on the plan: now, with its money prorated by `plan_money`, or at the end of its month.

    Now and on the plan that it is on already, what was to follow is forgotten and nothing else changes.
    Raises `PlanNotFound`, `PlanDoesNotFit`, `SubscriptionChanged`, `TenantIsClosed`, `TenantIsSuspended`.
    """
    plans = _read(tag, code, version)
    is_same = plans.old is not None and str(plans.old) == str(plans.new)
    with in_tenant(tag), open_journal(actor=actor) as journal:
        time_zone, now = journal.head.time_zone, journal.now
        at = month_end(now=now, time_zone=time_zone) if at_month_end else now
        if at_month_end:
            money = money_steps(Books(slug=journal.head.slug, time_zone=time_zone, at=at), old=plans.old, new=plans.new)
            schedule_plan_in(journal, old=plans.old, new=plans.new, at=at)
        elif is_same:
            keep_plan_in(journal)
            money = MoneySteps(budgets=(), templates=())
        else:
            money = change_plan_in(journal, old=plans.old, new=plans.new, at=now)
        change = compare(plans, money, at=at, is_now=not at_month_end, time_zone=time_zone)
    if not at_month_end:
        follow_books(tag, actor=actor)
    return change


def apply_due_plan(*, tag: Tag, now: datetime, actor: Actor) -> bool:
    """Put the tenant on the plan that was to follow, if it is time; whether it was. Safe to repeat.

    Raises as `change_plan`; a suspended tenant's change waits.
    """
    with in_tenant(tag):
        subscription = current_subscription()
    if subscription is None or subscription.next_at is None or subscription.next_at > now:
        return False
    plans = _read(tag, subscription.next_plan_code or "", subscription.next_plan_version)
    with in_tenant(tag), open_journal(actor=actor) as journal:
        change_plan_in(journal, old=plans.old, new=plans.new, at=subscription.next_at)
    follow_books(tag, actor=actor)
    return True


def _read(tag: Tag, code: str, version: int | None) -> Plans:
    with in_tenant(tag):
        own = read_own()
    if version is None:
        latest = latest_plan(code)
        version = latest.version if latest else 0
    source = plan_source(code, version)
    if source is None:
        raise PlanNotFound(code)
    try:
        check_models_left(effective_rules(plan=source, policies=own.policies))
    except InvalidPolicy as error:
        raise PlanDoesNotFit(f"The {source.place} does not fit: {error}") from None
    old = plan_source(*own.plan) if own.plan else None
    return Plans(old=None if old is None else _ref(old), new=_ref(source), policies=own.policies)


def _ref(source: PlanSource) -> PlanRef:
    return PlanRef(code=source.code, version=source.version, defaults=source.defaults)


def follow_books(tag: Tag, *, actor: Actor) -> None:
    """Bring what follows the tenant's books to what they say: the directory's line, and the rules. Safe to repeat.

    The directory is written outside of the books' transaction, so the books are asked again afterwards: of two changes
    at once, the one that came first must not have the last word here. Raises `RulesBusy`.
    """
    written: tuple[str, int] | None = None
    while (plan := _plan_in_the_books(tag)) is not None and plan != written:
        set_directory_plan(tag, code=plan[0], version=plan[1])
        written = plan
    publish_ruleset(tag=tag, actor=actor)


def _plan_in_the_books(tag: Tag) -> tuple[str, int] | None:
    with in_tenant(tag):
        subscription = current_subscription()
    return None if subscription is None else (subscription.plan_code, subscription.plan_version)

"""Opening a budget: a scope gets an amount, once or for every period."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection

from budgets.models import Budget
from budgets.models.choices import BudgetStatus, EntryKind, Period, Rollover
from budgets.scopes import ScopePath
from budgets.services.guards import require_in_business
from budgets.services.journal import Change, Journal, open_journal
from budgets.services.traces import leave_trace
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import Unit


class BudgetExists(Exception):
    """The scope has a budget in this unit already; `is_closed` when it is a closed one, which stays."""

    def __init__(self, *, is_closed: bool) -> None:
        super().__init__()
        self.is_closed = is_closed


class NoPeriod(Exception):
    """A budget without periods has nothing to roll over and no allocation a period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBudget:
    """What is asked for; amounts in `unit`.

    `period_allocation` is what each later period is granted, the first allocation when left out. Periods are counted
    from `anchor`, a day
    in the tenant's time zone; left out, they are calendar days, weeks from Monday, and months.
    """

    scope: ScopePath
    unit: Unit
    allocated: int
    overdraft_limit: int = 0
    period: Period = Period.ONE_OFF
    rollover: Rollover = Rollover.NONE
    period_allocation: int | None = None
    anchor: date | None = None


def open_budget(new: NewBudget, *, actor: Actor) -> Budget:
    """The new budget. Raises `BudgetExists`, `NoPeriod`, `TenantIsClosed`, `TenantIsSuspended`."""
    with open_journal(actor=actor) as journal:
        return open_budget_in(journal, new)


def open_budget_in(journal: Journal, new: NewBudget) -> Budget:
    """As `open_budget`, within an open journal."""
    require_in_business(journal)
    is_periodic = new.period != Period.ONE_OFF
    if not is_periodic and (new.rollover != Rollover.NONE or new.period_allocation is not None):
        raise NoPeriod
    existing = Budget.objects.filter(scope_path=new.scope.text, unit=new.unit).first()
    if existing is not None:
        raise BudgetExists(is_closed=existing.status == BudgetStatus.CLOSED)
    anchor = new.anchor or calendar_anchor(new.period, now=journal.now, time_zone=journal.head.time_zone)
    starts_at, ends_at = period_bounds(new.period, anchor=anchor, time_zone=journal.head.time_zone, at=journal.now)
    period_allocation = new.allocated if new.period_allocation is None else new.period_allocation
    budget = Budget(
        id=uuid7(),
        scope_path=new.scope.text,
        depth=new.scope.depth,
        unit=new.unit,
        overdraft_limit=new.overdraft_limit,
        period=new.period,
        rollover=new.rollover,
        period_allocation=period_allocation if is_periodic else 0,
        anchor=anchor,
        period_starts_at=starts_at,
        period_ends_at=ends_at,
        created_at=journal.now,
    )
    budget.save(force_insert=True)
    journal.post(EntryKind.CREATE, [Change(budget=budget, allocated=new.allocated)], amount=new.allocated)
    leave_trace(journal, "budget.created", budget, operation="CREATE", before=None)
    return budget


def calendar_anchor(period: Period, *, now: datetime, time_zone: str) -> date:
    """The first day of the calendar day, week (from Monday) or month that holds `now` in the time zone."""
    today = now.astimezone(ZoneInfo(time_zone)).date()
    if period == Period.WEEK:
        return today - timedelta(days=today.weekday())
    if period == Period.MONTH:
        return today.replace(day=1)
    return today


def period_bounds(
    period: Period, *, anchor: date, time_zone: str, at: datetime
) -> tuple[datetime | None, datetime | None]:
    """Start (inclusive) and end (exclusive) of the period that holds `at`; None and None for a one-off budget."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT starts_at, ends_at FROM period_bounds_v1(%s, %s, %s, %s)", [period.value, anchor, time_zone, at]
        )
        starts_at, ends_at = cursor.fetchone()
    return starts_at, ends_at

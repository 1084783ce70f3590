"""Tenants as lists of many show them: from the worker's notes alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from budgets.console.wording import period_words
from budgets.models.choices import BudgetStatus, Period
from kernel.pages.amounts import amount_text
from kernel.pages.bars import FULL, NEAR, Bar, Tone, budget_bar
from kernel.pages.moments import duration_text
from kernel.pages.sparklines import Sparkline, sparkline
from tenants.selectors.attention import EXHAUSTING_WITHIN
from tenants.selectors.directory import TenantLine, TenantStatus
from tenants.selectors.standing import Standing, StandingLine

_TENANT_STATES: Final = {
    TenantStatus.PROVISIONING: ("Being set up", Tone.INFO),
    TenantStatus.CLOSED: ("Closed", Tone.CALM),
}
_BUDGET_STATES: Final[dict[str, tuple[str, Tone]]] = {
    BudgetStatus.CLOSED: ("Closed", Tone.CALM),
    BudgetStatus.FROZEN: ("Frozen", Tone.BAD),
}
_STOPPED: Final = ("Stopped", Tone.BAD)
_NOT_NOTED: Final = ("Not noted yet", Tone.CALM)
_NO_BUDGET: Final = ("No budget", Tone.CALM)
_DAY: Final = timedelta(days=1)
#: Points of a line over 24 hours.
_STEPS: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRow:
    """One tenant. `budget` is None where there is nothing to show of one; `runs_out_at` only where it is far away."""

    tenant: TenantLine
    standing: Standing | None
    budget: Standing | None
    period: str
    bar: Bar | None
    spark: Sparkline | None
    runs_out: str
    runs_out_at: datetime | None
    state: str
    tone: Tone
    is_stopped: bool
    is_open: bool


def standing_row(line: StandingLine, *, now: datetime) -> StandingRow:
    standing, tenant = line.standing, line.tenant
    budget = standing if standing is not None and standing.unit else None
    is_stopped = tenant.is_stopped(now=now)
    is_open = tenant.status in {TenantStatus.ACTIVE, TenantStatus.SUSPENDED}
    state, tone = _state(line, is_stopped=is_stopped, now=now)
    runs_out, runs_out_at = ("—", None) if is_stopped or not is_open else runs_out_of(budget, now=now)
    return StandingRow(
        tenant=tenant,
        standing=standing,
        budget=budget,
        period=period_words(Period(budget.period)) if budget else "",
        bar=budget_bar(allocated=budget.allocated, used=budget.spent + budget.debt, held=budget.reserved)
        if budget
        else None,
        spark=spark_of(budget) if budget else None,
        runs_out=runs_out,
        runs_out_at=runs_out_at,
        state=state,
        tone=tone,
        is_stopped=is_stopped,
        is_open=is_open,
    )


def runs_out_of(budget: Standing | None, *, now: datetime) -> tuple[str, datetime | None]:
    """When nothing is left if it goes on so: words, or a time where it is more than a day away."""
    if budget is None:
        return "—", None
    if budget.remaining <= 0 and budget.allocated:
        return "now", None
    if budget.exhausts_at is None:
        return ("after reset" if budget.period_ends_at else "—"), None
    if budget.exhausts_at - now >= _DAY:
        return "", budget.exhausts_at
    minutes = max(int((budget.exhausts_at - now).total_seconds() // 60), 1)
    return f"in {duration_text(minutes * 60_000)}", None


def spark_of(standing: Standing) -> Sparkline | None:
    label = f"{amount_text(standing.spent_day, standing.unit)} in the last 24 hours"
    return sparkline(standing.quarters, steps=_STEPS, label=label)


def _state(line: StandingLine, *, is_stopped: bool, now: datetime) -> tuple[str, Tone]:
    known = _TENANT_STATES.get(line.tenant.status)
    if known is not None:
        return known
    if is_stopped:
        return _STOPPED
    return _NOT_NOTED if line.standing is None else _budget_state(line.standing, now=now)


def _budget_state(standing: Standing, *, now: datetime) -> tuple[str, Tone]:
    if not standing.unit:
        return _NO_BUDGET
    if standing.budget_status in _BUDGET_STATES:
        return _BUDGET_STATES[standing.budget_status]
    if standing.is_over_limit:
        return "Over limit", Tone.BAD
    if standing.remaining <= 0:
        return ("Used up", Tone.BAD) if standing.allocated else ("Not funded", Tone.CALM)
    if standing.exhausts_at is not None and standing.exhausts_at <= now + EXHAUSTING_WITHIN:
        return "Exhausting", Tone.BAD
    is_near = (standing.allocated - standing.remaining) * FULL >= standing.allocated * NEAR
    return ("Near cap", Tone.WARN) if is_near else ("Healthy", Tone.GOOD)

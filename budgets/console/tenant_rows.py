"""Tenants with what their books say, as lists show them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from budgets.console.wording import BOOKS_BUSY, bar_of, budget_state, period_words
from budgets.models.choices import BudgetStatus
from budgets.selectors.budget_lines import BudgetLine
from budgets.selectors.denials import NO_DENIALS, Denials
from budgets.selectors.tenant_summaries import TenantSummary, tenant_summaries
from budgets.services.periods import BooksBusy, open_due_periods
from kernel.ids import Tag
from kernel.money import Unit
from kernel.pages.bars import FULL, Bar, Tone
from kernel.tenancy import in_tenant
from tenants.selectors.directory import TenantLine, TenantStatus

#: Each tenant costs two queries in its own schema, so pages stay short.
TENANTS_PER_PAGE: Final = 25
DENIED_WITHIN: Final = timedelta(hours=1)

_TENANT_STATES: Final = {
    TenantStatus.PROVISIONING: ("Being set up", Tone.INFO),
    TenantStatus.SUSPENDED: ("Stopped", Tone.BAD),
    TenantStatus.CLOSED: ("Closed", Tone.CALM),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRow:
    """One tenant. `budget` is its own one, in USD where it has one; `more_budgets` are those in other units.

    There is no `budget` while a new period cannot be opened because somebody holds the books.
    """

    tenant: TenantLine
    budget: BudgetLine | None
    more_budgets: int
    period: str
    bar: Bar | None
    denials: Denials
    state: str
    tone: Tone

    @property
    def risk(self) -> int:
        """Thousandths of the budget that are taken: what lists sort by."""
        if self.budget is None:
            return 0
        taken = self.budget.allocated - self.budget.remaining
        return taken * FULL // max(self.budget.allocated, 1)


def tenant_rows(tenants: Sequence[TenantLine], *, now: datetime) -> list[TenantRow]:
    """Rows for at most `TENANTS_PER_PAGE` tenants, in the order given."""
    tags = [tenant.tag for tenant in tenants[:TENANTS_PER_PAGE] if tenant.has_books]
    denied_since = now - DENIED_WITHIN
    summaries = tenant_summaries(tags, denied_since=denied_since)
    stale = [tag for tag in tags if any(is_due(root, now=now) for root in summaries[tag].roots)]
    busy = {tag for tag in stale if not _is_brought_up_to_date(tag, summaries[tag], now=now)}
    summaries |= tenant_summaries([tag for tag in stale if tag not in busy], denied_since=denied_since)
    return [_row(tenant, summaries.get(tenant.tag), busy=busy) for tenant in tenants]


def is_due(budget: BudgetLine, *, now: datetime) -> bool:
    """Whether its period is over and the next one not begun: its numbers are yesterday's."""
    return budget.period_ends_at is not None and budget.period_ends_at <= now and budget.status != BudgetStatus.CLOSED


def _is_brought_up_to_date(tag: Tag, summary: TenantSummary, *, now: datetime) -> bool:
    try:
        with in_tenant(tag):
            open_due_periods([root.id for root in summary.roots if is_due(root, now=now)])
    except BooksBusy:
        # One tenant's long work must not take the page from all the others.
        return False
    return True


def _row(tenant: TenantLine, summary: TenantSummary | None, *, busy: Collection[Tag]) -> TenantRow:
    is_busy = tenant.tag in busy
    roots = summary.roots if summary and not is_busy else ()
    budget = next((root for root in roots if root.unit == Unit.USD_MICROCENTS), roots[0] if roots else None)
    known = BOOKS_BUSY if is_busy else _TENANT_STATES.get(tenant.status)
    state, tone = known or (budget_state(budget) if budget else ("No budget", Tone.CALM))
    return TenantRow(
        tenant=tenant,
        budget=budget,
        more_budgets=max(len(roots) - 1, 0),
        period=period_words(budget.period) if budget else "",
        bar=bar_of(budget) if budget else None,
        denials=summary.denials if summary else NO_DENIALS,
        state=state,
        tone=tone,
    )

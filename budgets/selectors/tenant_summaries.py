"""What the books of several tenants say at once: for a bounded number of tenants, each in its own schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.selectors.budget_lines import BudgetLine, root_budgets
from budgets.selectors.denials import Denials, denials
from kernel.ids import Tag
from kernel.tenancy import in_tenant


@dataclass(frozen=True, slots=True)
class TenantSummary:
    """The tenant's own budgets, one for each unit, and its refused calls."""

    roots: tuple[BudgetLine, ...]
    denials: Denials


def tenant_summaries(tags: Sequence[Tag], *, denied_since: datetime) -> dict[Tag, TenantSummary]:
    """The summaries of these tenants. Two queries each."""
    summaries: dict[Tag, TenantSummary] = {}
    for tag in tags:
        with in_tenant(tag):
            summaries[tag] = TenantSummary(roots=root_budgets(), denials=denials(since=denied_since))
    return summaries

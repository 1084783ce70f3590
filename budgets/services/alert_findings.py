"""What is found in a tenant's books that somebody should know. Pure: no database, no clock.

Each threshold has two marks, so that a number that trembles around it is told once: what is open stays open until the
number is clearly on the other side.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from budgets.models.choices import AlertKind, Period, Severity
from budgets.services.alert_rules import Rules
from kernel.pages.amounts import amount_text, share_text

#: So far below its threshold a budget has recovered, in parts per million of the allocation.
BUDGET_MARGIN_PPM: Final = 50_000
_PPM: Final = 1_000_000
_WARNING_PPM: Final = 900_000
_PERIODS: Final = {
    Period.ONE_OFF: "",
    Period.DAY: " for today",
    Period.WEEK: " for this week",
    Period.MONTH: " for this month",
}

#: Kind, subject, threshold and period: what is told once.
type Key = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that holds now. `period` is empty where it is told again each time that it comes back.

    What `outlasts_resolving` is told again when it is found after somebody has said that it was dealt with.
    """

    kind: AlertKind
    subject: str
    period: str
    severity: Severity
    summary: str
    threshold: int = 0
    scope_path: str = ""
    unit: str = ""
    period_ends_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    outlasts_resolving: bool = False

    @property
    def key(self) -> Key:
        return (self.kind, self.subject, self.threshold, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSight:
    """A budget in a period that is not over; amounts in `unit`, `allocated` above zero."""

    id: UUID
    scope_path: str
    unit: str
    allocated: int
    reserved: int
    spent: int
    debt: int
    period: Period
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    is_low: bool

    @property
    def taken(self) -> int:
        return self.reserved + self.spent + self.debt

    @property
    def taken_ppm(self) -> int:
        return self.taken * _PPM // self.allocated

    @property
    def period_key(self) -> str:
        return self.period_starts_at.isoformat() if self.period_starts_at else ""


def budget_findings(budgets: Iterable[BudgetSight], *, rules: Rules, is_open: frozenset[Key]) -> Iterator[Finding]:
    """The thresholds that are crossed, and the budgets below their low-water mark."""
    watches_low = bool(rules.thresholds(AlertKind.LOW_WATER))
    for budget in budgets:
        for threshold in rules.thresholds(AlertKind.BUDGET_THRESHOLD, budget_id=budget.id):
            found = _threshold(budget, threshold)
            leave = threshold - BUDGET_MARGIN_PPM if found.key in is_open else threshold
            if budget.taken * _PPM >= leave * budget.allocated:
                yield found
        # The flag has two marks of its own: the engine keeps it.
        if watches_low and budget.is_low:
            yield _low(budget)


def _threshold(budget: BudgetSight, threshold: int) -> Finding:
    limit = amount_text(budget.allocated, budget.unit) + _PERIODS[budget.period]
    if threshold >= _PPM:
        severity, words = Severity.CRITICAL, f"has used up its {limit}"
    else:
        severity = Severity.WARNING if threshold >= _WARNING_PPM else Severity.NOTICE
        words = f"has reached {share_text(threshold)} of its {limit}"
    return Finding(
        kind=AlertKind.BUDGET_THRESHOLD,
        threshold=threshold,
        severity=severity,
        summary=f"{_name(budget.scope_path)} {words}.",
        facts=_facts(budget),
        **_of_budget(budget),
    )


def _low(budget: BudgetSight) -> Finding:
    remaining = budget.allocated - budget.taken
    left = amount_text(remaining, budget.unit) if remaining > 0 else "nothing"
    limit = amount_text(budget.allocated, budget.unit)
    # The mark is crossed by what is left or by the pace, and the engine's flag does not say by which.
    words = f"is low, or spent too fast for its period, with {left} of {limit} left: models are compact"
    return Finding(
        kind=AlertKind.LOW_WATER,
        severity=Severity.WARNING,
        summary=f"{_name(budget.scope_path)} {words}.",
        facts=_facts(budget),
        **_of_budget(budget),
    )


def _of_budget(budget: BudgetSight) -> dict[str, Any]:
    return {
        "subject": f"budget:{budget.id}",
        "period": budget.period_key,
        "period_ends_at": budget.period_ends_at,
        "scope_path": budget.scope_path,
        "unit": budget.unit,
    }


def _facts(budget: BudgetSight) -> dict[str, int]:
    return {
        "allocated": budget.allocated,
        "reserved": budget.reserved,
        "spent": budget.spent,
        "debt": budget.debt,
        "taken_ppm": budget.taken_ppm,
    }


def _name(scope_path: str) -> str:
    """A budget at the beginning of a sentence: the path within the tenant, or what the path of the tenant itself is."""
    _, _, within = scope_path.partition("/")
    return f"Budget {within}" if within else "The tenant's own budget"

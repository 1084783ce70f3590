"""The budgets of the tenant whose schema the connection is in, as they stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from budgets.models import Budget
from budgets.models.choices import BudgetStatus, Period
from kernel.money import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One budget. Amounts in `unit`, those of the period that began at `period_starts_at`."""

    id: UUID
    scope_path: str
    unit: Unit
    status: BudgetStatus
    allocated: int
    reserved: int
    spent: int
    debt: int
    uncovered: int
    overdraft_limit: int
    is_over_limit: bool
    period: Period
    period_ends_at: datetime | None

    @property
    def remaining(self) -> int:
        return self.allocated - self.reserved - self.spent - self.debt

    @property
    def scope(self) -> str:
        """The path's last segment, as in `agent:triage`."""
        return self.scope_path.rpartition("/")[2]

    @property
    def depth(self) -> int:
        """0 for the tenant's own."""
        return self.scope_path.count("/")


@dataclass(frozen=True, slots=True)
class BudgetTree:
    """Budgets in the order of a tree for each unit; `is_cut` when there are more than were asked for."""

    lines: tuple[BudgetLine, ...]
    is_cut: bool


def root_budgets() -> tuple[BudgetLine, ...]:
    """The tenant's own budgets, one for each unit. One query."""
    return _lines(Budget.objects.filter(depth=1).order_by("unit"))


def budget_tree(*, limit: int) -> BudgetTree:
    """The tenant's budgets without those of runs, of which there is no end. One query."""
    lines = _lines(Budget.objects.filter(run_id=None).order_by("scope_path", "unit")[: limit + 1])
    return BudgetTree(lines=_in_order_of_tree(lines[:limit]), is_cut=len(lines) > limit)


def all_budgets() -> tuple[BudgetLine, ...]:
    """As `budget_tree`, every one of them: for files. One query."""
    return _in_order_of_tree(_lines(Budget.objects.filter(run_id=None)))


def budgets_beside(scope_path: str, *, unit: str) -> tuple[BudgetLine, ...]:
    """The active budget of a scope and those right beside it in its unit; none of a run. One query."""
    parent, _, _ = scope_path.rpartition("/")
    beside = Budget.objects.filter(run_id=None, unit=unit, status=BudgetStatus.ACTIVE, depth=scope_path.count("/") + 1)
    return _lines(
        beside.filter(scope_path__startswith=f"{parent}/") if parent else beside.filter(scope_path=scope_path)
    )


def standing_budget(budget_id: UUID) -> BudgetLine | None:
    """One budget; None where there is none, or it is one of a run. One query."""
    return next(iter(_lines(Budget.objects.filter(pk=budget_id, run_id=None))), None)


def _in_order_of_tree(lines: Iterable[BudgetLine]) -> tuple[BudgetLine, ...]:
    # One tree for each unit, money first; by segments, since `a/b` belongs before `a-b`.
    return tuple(
        sorted(lines, key=lambda line: (line.unit != Unit.USD_MICROCENTS, line.unit, line.scope_path.split("/")))
    )


def _lines(budgets: Iterable[Budget]) -> tuple[BudgetLine, ...]:
    return tuple(
        BudgetLine(
            id=budget.id,
            scope_path=budget.scope_path,
            unit=Unit(budget.unit),
            status=BudgetStatus(budget.status),
            allocated=budget.allocated,
            reserved=budget.reserved,
            spent=budget.spent,
            debt=budget.debt,
            uncovered=budget.uncovered,
            overdraft_limit=budget.overdraft_limit,
            is_over_limit=budget.is_over_limit,
            period=Period(budget.period),
            period_ends_at=budget.period_ends_at,
        )
        for budget in budgets
    )

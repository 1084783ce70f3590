"""One decision with everything that was known at its moment, for its explanation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from budgets.models import Budget, Decision, LedgerEntry, Reservation
from budgets.models.choices import ReservationStatus, Verdict
from budgets.models.ledger import BALANCE_FIELDS, DELTA_FIELDS
from budgets.selectors.stops import stop_behind
from budgets.selectors.switches import SwitchLine


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetThen:
    """A budget on the path, with its numbers before the decision had its effect; None where they were not kept."""

    scope_path: str
    allocated: int | None = None
    remaining: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The reservation that the decision made or was asked about, as it is now."""

    id: UUID
    status: ReservationStatus
    unit: str
    amount: int
    charged: int | None
    actual: int | None
    expires_at: datetime
    finalized_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """`numbers` are those of the scope or rule that refused, as the engine kept them.

    `would_deny` is the refusal that shadow mode let through. `admission` has class, route, caps and what is left of the
    run, each where there was one; it is None where the tenant had no rules. `stop` is the kill switch that refused, as
    it stands now.
    """

    id: UUID
    at: datetime
    endpoint: str
    verdict: Verdict
    reason_code: str | None
    scope_path: str | None
    failed_scope: str | None
    unit: str | None
    amount: int | None
    numbers: dict[str, Any]
    api_key_id: str | None
    run_id: str | None
    idempotency_key: str | None
    request_id: str | None
    trace_id: str | None
    subject: dict[str, Any]
    action: dict[str, Any]
    ledger_seq: int | None
    budgets: tuple[BudgetThen, ...]
    hold: Hold | None
    resets_at: datetime | None
    would_deny: str | None
    admission: dict[str, Any] | None
    stop: SwitchLine | None

    @property
    def is_run_used_up(self) -> bool:
        """Whether a run's own money was not enough; to the runtime that is MAX_COST_REACHED."""
        return self.reason_code == "BUDGET_EXCEEDED" and "/run:" in (self.failed_scope or "")

    @property
    def is_run_over(self) -> bool:
        """Whether the run has come to one of its limits, so that the give-up rule holds."""
        return self.is_run_used_up or self.reason_code in _RUN_LIMITS

    @property
    def is_shortfall_shadowed(self) -> bool:
        """Whether shadow mode let through what a budget would have refused: `numbers` are that budget's then."""
        return self.verdict != Verdict.DENY and self.would_deny in _SHORTFALLS and self.failed_scope is not None


_RUN_LIMITS: Final = {"MAX_ITERATIONS_REACHED", "MAX_TOKENS_REACHED", "MAX_WALL_TIME_REACHED"}
_SHORTFALLS: Final = {"BUDGET_EXCEEDED", "OVERDRAFT_LIMIT_EXCEEDED", "DEBT_OUTSTANDING"}


def decision_record(decision_id: UUID) -> DecisionRecord | None:
    """The decision, or None. At most four queries, whatever the path's length."""
    decision = Decision.objects.filter(pk=decision_id).first()
    if decision is None:
        return None
    hold_row = (
        Reservation.objects.filter(pk=decision.reservation_id).first() if decision.reservation_id is not None else None
    )
    budgets, resets_at = _budgets_then(decision)
    return DecisionRecord(
        id=decision.id,
        at=decision.at,
        endpoint=decision.endpoint,
        verdict=Verdict(decision.verdict),
        reason_code=decision.reason_code,
        scope_path=decision.scope_path,
        failed_scope=decision.failed_scope,
        unit=decision.unit or (hold_row.unit if hold_row else None),
        amount=decision.amount,
        numbers=decision.numbers or {},
        api_key_id=decision.api_key_id,
        run_id=decision.run_id,
        idempotency_key=decision.idempotency_key,
        request_id=decision.request_id,
        trace_id=decision.trace_id,
        # An allowed reservation keeps these two itself.
        subject=decision.subject or (hold_row.subject if hold_row else None) or {},
        action=decision.action or (hold_row.action if hold_row else None) or {},
        ledger_seq=decision.ledger_seq,
        budgets=budgets,
        hold=_hold(hold_row) if hold_row else None,
        resets_at=resets_at,
        would_deny=decision.would_deny,
        admission=decision.admission,
        stop=stop_behind(decision.numbers or {}) if decision.reason_code == "KILL_SWITCH" else None,
    )


def _hold(row: Reservation) -> Hold:
    return Hold(
        id=row.id,
        status=ReservationStatus(row.status),
        unit=row.unit,
        amount=row.amount,
        charged=row.charged,
        actual=row.actual,
        expires_at=row.expires_at,
        finalized_at=row.finalized_at,
    )


def _budgets_then(decision: Decision) -> tuple[tuple[BudgetThen, ...], datetime | None]:
    """The budgets of the path, root first, and when the refusing one begins its next period."""
    ids, balances, deltas = decision.budget_ids, decision.balances, None
    if decision.ledger_seq is not None:
        # It may be archived by now: then the budgets of the path are shown as they are.
        entry = LedgerEntry.objects.filter(pk=decision.ledger_seq).first()
        if entry is not None:
            ids, balances, deltas = entry.budget_ids, entry.balances, entry.deltas
    if ids:
        by_id = Budget.objects.in_bulk(ids)
        ordered = [by_id[budget_id] for budget_id in ids]
    else:
        ordered, balances = _budgets_of_path(decision), None
    resets_at = next((budget.period_ends_at for budget in ordered if budget.scope_path == decision.failed_scope), None)
    return tuple(_then(ordered, balances, deltas)), resets_at


def _budgets_of_path(decision: Decision) -> list[Budget]:
    if not decision.scope_path or not decision.unit:
        return []
    segments = decision.scope_path.split("/")
    paths = ["/".join(segments[:count]) for count in range(1, len(segments) + 1)]
    if decision.run_id is not None:
        paths.append(f"{segments[0]}/run:{decision.run_id}")
    found = Budget.objects.filter(Q(created_at__lte=decision.at), scope_path__in=paths, unit=decision.unit)
    return sorted(found, key=lambda budget: paths.index(budget.scope_path))


def _then(budgets: Sequence[Budget], balances: list[int] | None, deltas: list[int] | None) -> Iterable[BudgetThen]:
    stride, width = len(BALANCE_FIELDS), len(DELTA_FIELDS)
    for position, budget in enumerate(budgets):
        if not balances:
            yield BudgetThen(scope_path=budget.scope_path)
            continue
        allocated, reserved, spent, debt = balances[position * stride : position * stride + 4]
        if deltas:
            # Balances are those after the entry; the question was asked before it.
            changes = deltas[position * width : position * width + 4]
            allocated, reserved, spent, debt = (
                after - change for after, change in zip((allocated, reserved, spent, debt), changes, strict=True)
            )
        yield BudgetThen(
            scope_path=budget.scope_path, allocated=allocated, remaining=allocated - reserved - spent - debt
        )

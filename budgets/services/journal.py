"""Writing in the books outside the hot path: funding, edits, status changes. One transaction, one entry an operation.

The order is the one of `budgets/sql/README.md`: the ledger head first, then the database's clock, then everything else.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from budgets.models import Budget, LedgerEntry, LedgerHead
from budgets.models.choices import EntryKind, Period
from budgets.models.ledger import BALANCE_FIELDS, DELTA_FIELDS
from budgets.services.operations import Answer, Operation
from kernel.actor import Actor
from kernel.money import AMOUNT_MAX, Unit

__all__ = ["Actor", "AmountOutOfRange", "BudgetNotFound", "Change", "Journal", "open_journal"]

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(list[Answer])


class BudgetNotFound(Exception):
    """No budget in this unit at this scope."""


class AmountOutOfRange(Exception):
    """The change would leave an amount below zero or above 2^63 - 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one entry changes on one budget, in the budget's unit."""

    budget: Budget
    allocated: int = 0
    reserved: int = 0
    spent: int = 0
    debt: int = 0
    uncovered: int = 0


@dataclass(slots=True)
class Journal:
    """The open books of the tenant whose schema the connection is in. Made by `open_journal` only."""

    head: LedgerHead
    now: datetime
    actor: Actor
    _last_seq: int = field(default=0)

    def budget_by_id(self, budget_id: UUID) -> Budget:
        """The budget, with its period opened if it was stale. Raises `BudgetNotFound`."""
        budget = Budget.objects.filter(pk=budget_id).first()
        if budget is None:
            raise BudgetNotFound(str(budget_id))
        return self.with_period_open(budget)

    def budget(self, *, scope_path: str, unit: Unit) -> Budget:
        """The budget, with its period opened if it was stale. Raises `BudgetNotFound`."""
        budget = Budget.objects.filter(scope_path=scope_path, unit=unit).first()
        if budget is None:
            raise BudgetNotFound(scope_path)
        return self.with_period_open(budget)

    def with_period_open(self, budget: Budget) -> Budget:
        if budget.period == Period.ONE_OFF or budget.period_ends_at is None or budget.period_ends_at > self.now:
            return budget
        self._save_head()
        with connection.cursor() as cursor:
            cursor.execute("SELECT roll_periods_v1(%s::uuid[], %s)", [[budget.pk], self.now])
        self.head.refresh_from_db()
        self._last_seq = self.head.last_seq
        budget.refresh_from_db()
        return budget

    def post(
        self,
        kind: EntryKind,
        changes: Sequence[Change],
        *,
        amount: int | None = None,
        endpoint: str | None = None,
        target: UUID | None = None,
        idempotency_key: str | None = None,
        payload_hash: bytes | None = None,
        metadata: Mapping[str, Any] | None = None,
        charged: int | None = None,
        reservation_id: UUID | None = None,
        price: Mapping[str, Any] | None = None,
    ) -> LedgerEntry:
        """Apply `changes` to their budgets, all or none, and write the entry that says so.

        Budgets may also carry edits of their own (status, limit, period), which are saved too.
        Raises `AmountOutOfRange`.
        """
        for change in changes:
            budget = change.budget
            for name in DELTA_FIELDS:
                value = getattr(budget, name) + getattr(change, name)
                if not 0 <= value <= AMOUNT_MAX:
                    raise AmountOutOfRange(name)
                setattr(budget, name, value)
            if budget.reserved + budget.spent + budget.debt + budget.uncovered > AMOUNT_MAX:
                raise AmountOutOfRange("spent")
        for change in changes:
            change.budget.save(force_update=True)
        return self._write(
            kind,
            changes,
            amount=amount,
            endpoint=endpoint,
            target=target,
            idempotency_key=idempotency_key,
            payload_hash=payload_hash,
            metadata=metadata,
            charged=charged,
            reservation_id=reservation_id,
            price=price,
        )

    def settle(self, operations: Sequence[Operation]) -> list[Answer]:
        """Have the engine judge operations inside this transaction, in this order.

        Budgets that were read before are stale afterwards: refresh them.
        """
        for number, operation in enumerate(operations):
            operation.n = number
        self._save_head()
        with connection.cursor() as cursor:
            cursor.execute("SELECT apply_operations_v1(%s)::text", [_ENCODER.encode(operations).decode()])
            answers = _DECODER.decode(cursor.fetchone()[0])
        self.head.refresh_from_db()
        self._last_seq = self.head.last_seq
        return answers

    def post_many(self, statement: str, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run a statement that writes entries by itself, numbered from behind `last_seq`; its row, how many first.

        It gets `at` and who acts beside `parameters`. Budgets that were read before are stale afterwards.
        """
        known: dict[str, Any] = {"last_seq": self._last_seq, "at": self.now} | self._who()
        with connection.cursor() as cursor:
            cursor.execute(statement, {**known, **parameters})
            row: tuple[Any, ...] = cursor.fetchone()
        self._last_seq += row[0]
        return row

    def _save_head(self) -> None:
        if self._last_seq != self.head.last_seq:
            self.head.last_seq = self._last_seq
            self.head.save(update_fields=["last_seq"])

    def _write(self, kind: EntryKind, changes: Sequence[Change], **columns: Any) -> LedgerEntry:
        self._last_seq += 1
        return LedgerEntry.objects.create(
            seq=self._last_seq,
            kind=kind,
            at=self.now,
            unit=changes[0].budget.unit if changes else None,
            budget_ids=[change.budget.pk for change in changes],
            deltas=[getattr(change, name) for change in changes for name in DELTA_FIELDS],
            balances=[int(getattr(change.budget, name)) for change in changes for name in BALANCE_FIELDS],
            **self._who(),
            **columns,
        )

    def _who(self) -> dict[str, str | None]:
        return {
            "actor": self.actor.name,
            "reason": self.actor.reason or None,
            "request_id": self.actor.request_id or None,
            "trace_id": self.actor.trace_id or None,
        }


@contextmanager
def open_journal(*, actor: Actor) -> Iterator[Journal]:
    """Take the tenant's ledger head and hand out the journal; everything commits, or nothing does."""
    with transaction.atomic():
        head = LedgerHead.objects.select_for_update().get(pk=1)
        with connection.cursor() as cursor:
            # Read after the lock: what waited sees the time at which it acts.
            cursor.execute("SELECT date_trunc('milliseconds', clock_timestamp())")
            now = cursor.fetchone()[0]
        journal = Journal(head=head, now=now, actor=actor, _last_seq=head.last_seq)
        yield journal
        journal._save_head()

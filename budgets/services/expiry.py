"""Ending reservations whose time is over, one tenant at a time.

The books decide: the engine's `expire` judges each reservation under the ledger head, so it and a commit exclude each
other at every instant, and doing it twice, late, or from two workers at once changes nothing. This only finds what to
ask for.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from budgets.selectors.due_reservations import DueReservation, due_reservations, next_due_at
from budgets.services import engine
from budgets.services.operations import Operation
from kernel.ids import Tag, uuid7
from kernel.tenancy import in_tenant
from tenants.services.due import claim_visit, finish_visit

#: Expired by one call, in one transaction: while it runs, the tenant's other calls wait.
BATCH_MAX: Final = 25

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expiry:
    """What one visit did. `failed` reservations could not be booked and stay active."""

    expired: int
    failed: int
    next_due_at: datetime | None


def visit_tenant(*, tag: Tag, has_time: Callable[[], bool]) -> Expiry:
    """Expire what is due in the tenant and note when it is due next.

    Safe to repeat, to run twice at once, and to be killed anywhere: then the tenant is visited again. Raises
    `engine.EngineUnavailable` or `engine.UnknownTenant`, having kept what the batches before it did.
    """
    visit = uuid7()
    claim_visit(tag=tag, visit=visit)
    done = expire_due(tag=tag, has_time=has_time)
    # What cannot be booked now will not be a second later either: then the visit stays open, to be tried after a while.
    if not done.failed:
        finish_visit(tag=tag, visit=visit, next_due_at=done.next_due_at)
    return done


def expire_due(*, tag: Tag, has_time: Callable[[], bool]) -> Expiry:
    """Expire what is due, `BATCH_MAX` at a time, until nothing is or `has_time` says no. One batch is always tried."""
    expired = failed = 0
    last: DueReservation | None = None
    with in_tenant(tag):
        while due := due_reservations(after=last, limit=BATCH_MAX):
            statuses = _expire(tag, due)
            expired += statuses.count("OK")
            failed += statuses.count("INTERNAL_ERROR")
            last = due[-1]
            if not has_time():
                break
        return Expiry(expired=expired, failed=failed, next_due_at=next_due_at())


def _expire(tag: Tag, due: Sequence[DueReservation]) -> list[str]:
    """The status of each: OK, INTERNAL_ERROR, or what the books say of one that is settled already or was prolonged."""
    try:
        return [answer.status for answer in engine.apply(tag, [_operation(one) for one in due])]
    except psycopg.Error as error:
        if len(due) == 1:
            # The error's text quotes the row with the customer's metadata, so only its kind is kept.
            kind = type(error).__name__
            _logger.error("Reservation %s of tenant %s cannot be expired: %s %s.", due[0].id, tag, kind, error.sqlstate)
            return ["INTERNAL_ERROR"]
    # One that the database refuses must not hold back the others.
    return [status for one in due for status in _expire(tag, [one])]


def _operation(due: DueReservation) -> Operation:
    return Operation(op="expire", id=uuid7(), target=due.id, is_trusted=True, actor="expiry")

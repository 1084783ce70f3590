"""One visit to a tenant's books: what need not happen inside a decision, each step in transactions of its own.

Periods that are due are opened, the sums follow the ledger, closed segments are sealed, alerts are looked for, and what
was found is noted.
Every step is safe to repeat, so a visit that was killed is simply made again.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from budgets.services.alert_watch import look_for_alerts
from budgets.services.alerts import note_open_alerts
from budgets.services.periods import BooksBusy, next_period_at, open_periods_that_wait
from budgets.services.rollups import RolledUp, roll_up
from budgets.services.sealing import LedgerHasGap, seal_closed, seal_overdue_since
from budgets.services.standing_notes import standing_note
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from tenants.services.standing import note_standing, read_visit

#: What is due and could not be done is tried again after so long, not at every tick.
_AGAIN_AFTER: Final = timedelta(minutes=1)

_logger = logging.getLogger(__name__)


def visit_books(*, tag: Tag, has_time: Callable[[], bool]) -> RolledUp:
    """Do what is due in the tenant's books and note how it stands, and when to come again.

    Safe to repeat, to run twice at once, and to be killed anywhere: then the tenant is visited again.
    """
    # Before anything is read: a row that comes in behind this is for the next visit.
    visit = read_visit(tag=tag)
    with in_tenant(tag), suppress(BooksBusy):
        open_periods_that_wait(has_time=has_time)
    done = roll_up(tag=tag, has_time=has_time)
    sealed, seal_at = _seal(tag, has_time)
    with in_tenant(tag):
        note = standing_note(mean_known=visit.mean_hour_7d, mean_until=visit.quarters_until)
        period_at = next_period_at()
        note = replace(note, period_due_at=period_at, seal_due_at=seal_at if sealed else seal_overdue_since())
    later = [period_at, seal_at, look_for_alerts(tag=tag, note=note)]
    note = replace(note, revisit_at=_earliest(note.revisit_at, later, not_before=note.as_of + _AGAIN_AFTER))
    # First what the alerts say: a visit that is killed before its last line is made again.
    note_open_alerts(tag=tag)
    note_standing(tag=tag, note=note, inserts_seen=visit.inserts if done.is_done else None)
    return done


def _seal(tag: Tag, has_time: Callable[[], bool]) -> tuple[bool, datetime | None]:
    """Whether it could be sealed, and when there is something to seal again."""
    try:
        return True, seal_closed(tag=tag, has_time=has_time).next_at
    except LedgerHasGap as gap:
        # The nightly check raises the alarm; sums and notes go on.
        _logger.error("The ledger of tenant %s is not sealed any further: %s", tag, gap)
        return False, None


def _earliest(first: datetime | None, others: Iterable[datetime | None], *, not_before: datetime) -> datetime | None:
    moments = [] if first is None else [first]
    moments += [max(at, not_before) for at in others if at is not None]
    return min(moments, default=None)

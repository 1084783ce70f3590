"""Following the books: sums per 15 minutes, as `budgets.models.rollups` keeps them.

Each step is one short transaction: it takes the tenant's mark, adds what lies behind it and moves it on. So two at once
take turns, one that is killed has done nothing, and an entry is added exactly once, to the bucket of its own time. The
ledger head is not taken: nobody who decides waits for this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from budgets.models import LedgerHead, RollupMark
from budgets.selectors.ledger_times import last_seq_before
from kernel.ids import Tag
from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant

#: Entries added by one step, and refusals: short, because an old transaction makes the hot rows slow.
STEP: Final = 10_000
_TIMEOUTS: Final = ("SET LOCAL statement_timeout = '60s'", "SET LOCAL lock_timeout = '60s'")

_ADD_USAGE: Final = (
    f"WITH fresh AS MATERIALIZED ({read_sql('budgets', 'usage_of_entries')}),"
    f" days AS ({read_sql('budgets', 'usage_days')}), added AS ({read_sql('budgets', 'add_usage')})"
    f" {read_sql('budgets', 'add_usage_days')}"
)
_ADD_DECISIONS: Final = (
    f"WITH fresh AS ({read_sql('budgets', 'decisions_of_entries')}) {read_sql('budgets', 'add_decisions')}"
)
_ADD_UNHELD: Final = read_sql("budgets", "add_unheld_decisions")

# What is left of the quarters of an hour, by days.
_DAYS_AGAIN: Final = (
    f"WITH fresh AS (TABLE usage_rollup), days AS ({read_sql('budgets', 'usage_days')})"
    f" {read_sql('budgets', 'add_usage_days')}"
)
_FORGET_USAGE: Final = "DELETE FROM usage_rollup WHERE bucket_at >= coalesce(%(since)s::timestamptz, '-infinity')"
_FORGET_DECISIONS: Final = (
    "DELETE FROM decision_rollup WHERE bucket_at >= coalesce(%(since)s::timestamptz, '-infinity')"
)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What was added. `is_done`: everything that was in the books when the last step began."""

    entries: int
    decisions: int
    is_done: bool


def roll_up(*, tag: Tag, has_time: Callable[[], bool], step: int = STEP) -> RolledUp:
    """Add what is new until nothing is or `has_time` says no. One step is always made.

    Safe to repeat, to run twice at once, and to be killed anywhere.
    """
    entries = decisions = 0
    with in_tenant(tag):
        while True:
            done = _one_step(step)
            entries += done.entries
            decisions += done.decisions
            if done.is_done or not has_time():
                return RolledUp(entries=entries, decisions=decisions, is_done=done.is_done)


def rebuild(*, tag: Tag) -> RolledUp:
    """Make all sums again from the books. Until it is done pages show a part; killed, the next roll-up goes on.

    Sums of what was archived and dropped stay as they are: they cannot be made again.
    """
    with in_tenant(tag), transaction.atomic():
        mark = _locked_mark()
        since, decisions_since = mark.entries_kept_since, mark.decisions_kept_since
        # Not by the models: with keys of several columns they would read every row first.
        _run(_FORGET_USAGE, {"since": since})
        _run("DELETE FROM usage_day", {})
        _run(_FORGET_DECISIONS, {"since": decisions_since})
        if since is not None:
            _run(_DAYS_AGAIN, {})
        mark.ledger_seq = 0 if since is None else last_seq_before(since)
        mark.decisions_at, mark.decision_ids, mark.rolled_up_at = decisions_since, [], None
        mark.save(force_update=True)
    return roll_up(tag=tag, has_time=lambda: True)


def _one_step(step: int) -> RolledUp:
    with transaction.atomic(durable=True):
        mark = _locked_mark()
        last_seq = LedgerHead.objects.values_list("last_seq", flat=True).get(pk=1)
        until = min(mark.ledger_seq + step, last_seq)
        entries = max(until - mark.ledger_seq, 0)
        if entries:
            bounds: dict[str, Any] = {"after": mark.ledger_seq, "until": until}
            _run(_ADD_USAGE, bounds)
            _run(_ADD_DECISIONS, bounds | {"kept_since": mark.decisions_kept_since})
            mark.ledger_seq = until
        decisions, is_cut = _add_unheld(mark, step)
        mark.rolled_up_at = _now()
        mark.save(force_update=True)
    return RolledUp(entries=entries, decisions=decisions, is_done=until >= last_seq and not is_cut)


def _locked_mark() -> RollupMark:
    """The mark, held until the transaction ends. What is read after it sees what the last holder has added."""
    for statement in _TIMEOUTS:
        _run(statement, {})
    RollupMark.objects.bulk_create([RollupMark(id=1)], ignore_conflicts=True)
    return RollupMark.objects.select_for_update().get(pk=1)


def _add_unheld(mark: RollupMark, step: int) -> tuple[int, bool]:
    with connection.cursor() as cursor:
        cursor.execute(_ADD_UNHELD, {"since": mark.decisions_at, "known": mark.decision_ids, "at_most": step})
        number, last_at, last_ids, is_cut = cursor.fetchone()
    if last_at is not None:
        mark.decision_ids = [*mark.decision_ids, *last_ids] if last_at == mark.decisions_at else last_ids
        mark.decisions_at = last_at
    return number, is_cut


def _now() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def _run(statement: str, parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)

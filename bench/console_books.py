"""A tenant's books of 30 days, made at once in the database: entries, decisions, holds and runs that hang together.

Not played through the engine, which would take hours for ten million entries: balances in the entries are only about
right, so the audit has nothing to say of these books. Numbers, times, subjects and sums are as the engine writes them.
"""

from typing import Any, Final

from django.db import connections, transaction
from psycopg import sql

from kernel.ids import Tag
from kernel.owner import acting_as_owner
from kernel.sql_files import read_sql
from kernel.tenancy import in_tenant

#: Calls that repeat in one order, and the entries that they leave: a refusal none, an event one, the others two each.
CYCLE_CALLS: Final = 20
CYCLE_ENTRIES: Final = 37
#: Calls written by one statement.
STEP: Final = 40_000

_WORKSPACES: Final = ("support", "engineering", "marketing", "finance")
_AGENTS: Final = ("triage", "answers", "reviewer", "analyst", "campaigns", "ledger-clerk", "planner", "scout")

_BUDGETS: Final = read_sql("bench", "console_budgets")
_CREATED: Final = """
    INSERT INTO ledger_entry (seq, kind, at, unit, amount, budget_ids, deltas, balances, actor)
    SELECT
        row_number() OVER (ORDER BY depth, scope_path) + (SELECT last_seq FROM ledger_head), 'CREATE', created_at, unit,
        0, ARRAY[id], ARRAY[0, 0, 0, 0, 0], ARRAY[0, 0, 0, 0, 0, 0, 0], 'seed'
    FROM budget
    WHERE created_at < clock_timestamp() - interval '39 days'
"""
_HEAD: Final = "UPDATE ledger_head SET last_seq = greatest(last_seq, (SELECT max(seq) FROM ledger_entry))"
_CALLS: Final = read_sql("bench", "console_calls")
_ROOM: Final = read_sql("bench", "console_room")
_TABLES: Final = ("ledger_entry", "decision", "reservation", "usage_rollup", "decision_rollup", "run", "budget")


def write_books(*, tag: Tag, slug: str, time_zone: str, entries: int, until: Any) -> int:
    """Books of at least `entries` entries; how many there are. All of them or none. Nothing where there are some."""
    cycles = max(entries // CYCLE_ENTRIES, 1)
    calls = cycles * CYCLE_CALLS
    with acting_as_owner(), in_tenant(tag), transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SELECT count(*) FROM reservation")
        if cursor.fetchone()[0]:
            return 0
        words: dict[str, Any] = {"slug": slug, "workspaces": list(_WORKSPACES), "agents": list(_AGENTS)}
        cursor.execute(_BUDGETS, words | {"zone": time_zone})
        cursor.execute(_CREATED)
        cursor.execute(_HEAD)
        cursor.execute("SELECT last_seq FROM ledger_head")
        seq = cursor.fetchone()[0]
        for first in range(0, calls, STEP):
            last = min(first + STEP, calls) - 1
            cursor.execute(_CALLS, words | {"seq": seq, "first": first, "last": last, "calls": calls, "until": until})
        cursor.execute(_HEAD)
    return cycles * CYCLE_ENTRIES


def give_room(*, tag: Tag, taken_percent: int) -> None:
    """Budgets that are so much used up today, as their rollups say; then statistics, as autovacuum would have them."""
    with acting_as_owner(), in_tenant(tag), connections["default"].cursor() as cursor:
        cursor.execute(_ROOM, {"taken_percent": taken_percent})
        for table in _TABLES:
            cursor.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))

"""Counters of windows that are over, and runs that ended long ago: nothing is judged by them any more.

What they counted is in the ledger and in the decisions, which stay.
"""

from typing import Final

from django.db import connection

#: Rows of a kind that one visit takes, so that it ends soon; the next visit takes the next ones.
ROWS_MAX: Final = 5_000
#: A run that nobody has heard of for so long begins anew if it comes back.
RUN_DAYS: Final = 30

_STATEMENTS: Final = (
    """
    DELETE FROM quota_counter WHERE key IN (
        SELECT key FROM quota_counter WHERE expires_at < clock_timestamp() - interval '1 day' LIMIT %(rows)s
    )
    """,
    """
    DELETE FROM run WHERE run_id IN (
        SELECT run_id FROM run WHERE lease_until < clock_timestamp() - make_interval(days => %(days)s) LIMIT %(rows)s
    )
    """,
)


def forget_what_is_over() -> int:
    """Delete it in the schema that the connection is in; how many rows. Safe to repeat and to run beside decisions.

    A row that is wanted again meanwhile is made again: its window, or its run, begins anew.
    """
    forgotten = 0
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, {"rows": ROWS_MAX, "days": RUN_DAYS})
            forgotten += cursor.rowcount
    return forgotten

"""What a tick of the scheduler costs with many tenants of which few have something to do."""

import secrets
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from django.db import connection

from bench.customers import provision
from bench.worker_lines import Line
from budgets.tasks import dispatch_expiry, dispatch_rollups
from config.celery import app
from kernel.tenancy import in_public
from tenants.models import Tenant
from tenants.services import standing

TICK_MS_MAX: Final = 200
_ROUNDS: Final = 7
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
#: Tenants with tables of their own; the others' lines show their counters, which are looked up all the same.
_REAL: Final = 20

_QUIET: Final = """
    INSERT INTO tenant_standing (
        tag, tenant_id, ledger_table, decision_table, inserts_seen, as_of, asked_at, unit, period, allocated, reserved,
        spent, debt, overdraft_limit, budget_status, is_over_limit, more_budgets, taken_ppm, spent_today, spent_hour,
        quarters, mean_hour_7d, denied_hour, denied_causes, calls_hour, top_agent, top_agent_ppm, holds_open
    )
    SELECT
        substr(t.schema_name, 3), t.id, r.ledger_table, r.decision_table,
        pg_stat_get_tuples_inserted(r.ledger_table::oid) + pg_stat_get_tuples_inserted(r.decision_table::oid),
        clock_timestamp(), clock_timestamp(), '', '', 0, 0,
        0, 0, 0, '', false, 0, 0, 0, 0, '{}', 0, 0, '{}', 0, '', 0, 0
    FROM (SELECT *, row_number() OVER () AS n FROM tenant WHERE slug LIKE 'crowd-%%') AS t
    JOIN (SELECT *, row_number() OVER () AS n FROM tenant_standing WHERE tag = ANY (%s)) AS r ON r.n = 1 + mod(t.n, %s)
"""
#: So many of the crowd have had rows since, and something that is due.
_WAKE: Final = """
    UPDATE tenant_standing SET inserts_seen = inserts_seen - 1, as_of = clock_timestamp(), asked_at = NULL
    WHERE tag IN (SELECT tag FROM tenant_standing WHERE period = '' ORDER BY tag LIMIT %s)
"""
_CALM: Final = """
    UPDATE tenant_standing SET asked_at = clock_timestamp(), as_of = clock_timestamp(), revisit_at = NULL,
        inserts_seen = pg_stat_get_tuples_inserted(ledger_table::oid) + pg_stat_get_tuples_inserted(decision_table::oid)
"""
_DUE: Final = """
    INSERT INTO tenant_due (tag, due_at)
    SELECT
        tag,
        clock_timestamp() + CASE WHEN row_number() OVER (ORDER BY tag) > %s THEN interval '1 hour' ELSE '0' END
    FROM tenant_standing
    ON CONFLICT (tag) DO UPDATE SET due_at = excluded.due_at, claim = NULL
"""


def measure_ticks(*, tenants: int, active: int) -> list[Line]:
    """Both ticks as the worker runs them, with the messages that they send. Nobody takes the messages here."""
    _crowd(tenants)
    rollups = _median_ms(dispatch_rollups, before=lambda: _set(_CALM, (), _WAKE, (active,)))
    expiry = _median_ms(dispatch_expiry, before=lambda: _set(_DUE, (active,)))
    idle = _median_ms(dispatch_rollups, before=lambda: _set(_CALM, ()))
    app.control.purge()
    words = f"tick, {tenants:,} tenants of which {active:,} are active"
    return [
        _line(f"rollups {words}", rollups),
        _line(f"expiry {words}", expiry),
        Line(what=f"rollups tick, {tenants:,} tenants, all idle", measured=f"{idle:,.0f} ms"),
    ]


def _line(what: str, ms: float) -> Line:
    return Line(what=what, measured=f"{ms:,.0f} ms", target=f"< {TICK_MS_MAX} ms", is_missed=ms >= TICK_MS_MAX)


def _crowd(tenants: int) -> None:
    real, _ = provision([f"real-{number:02}" for number in range(_REAL)])
    with in_public(), connection.cursor() as cursor:
        standing.enrol_tenants()
        known = Tenant.objects.count()
        now = datetime.now(UTC)
        Tenant.objects.bulk_create(
            (
                Tenant(
                    schema_name="t_" + "".join(secrets.choice(_LETTERS) for _ in range(20)),
                    slug=f"crowd-{number:05}",
                    name=f"Crowd {number}",
                    created_at=now,
                )
                for number in range(tenants - known)
            ),
            batch_size=1_000,
        )
        cursor.execute(_QUIET, [[tenant.tag for tenant in real], _REAL])


def _set(*statements: object) -> None:
    pairs = iter(statements)
    with in_public(), connection.cursor() as cursor:
        for text in pairs:
            cursor.execute(str(text), next(pairs))  # type: ignore[arg-type]


def _median_ms(tick: Callable[[], object], *, before: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        before()
        begun = time.perf_counter()
        tick()
        times.append((time.perf_counter() - begun) * 1000)
    # The first one opens the connections.
    return statistics.median(times[1:])

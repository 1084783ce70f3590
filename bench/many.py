"""Thousands of tenants: does the hot path notice, what does one more take, and how long is a migration of all?"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from django.db import connections
from psycopg import sql

from bench.customers import Customer, equip, provision
from bench.drive import MemoryRanOut
from bench.figures import quantile_ms
from bench.results import ManyTenants, Migration, Provisioning
from bench.scenarios import Session
from config.environment import BASE_DIR

if TYPE_CHECKING:
    from tenants.models import Tenant

FEW: Final = 10
CONNECTIONS: Final = 10
#: Of the many, these last ones are timed.
TIMED: Final = 100
TOUR_CONNECTIONS: Final = 8
_TOUR_SECONDS_MAX: Final = 900
MIGRATION_SECONDS_MAX: Final = 60


def provisioning_of(seconds: Sequence[float], *, existing: int) -> Provisioning:
    ordered = sorted(seconds)
    return Provisioning(
        existing=existing,
        made=len(ordered),
        p50_ms=quantile_ms(ordered, 0.5),
        p99_ms=quantile_ms(ordered, 0.99),
        max_ms=quantile_ms(ordered, 1),
    )


def grow(session: Session, made: "Sequence[Tenant]") -> list[Customer]:
    """Make tenants until there are as many as asked for; all of them with budgets and keys, the cast included."""
    total = session.options.many_tenants
    session.say(f"Making {total - len(made):,} more tenants ...")
    more, seconds = provision([f"bench-{number:05}" for number in range(len(made), total)])
    timed = seconds[-TIMED:]
    session.results.provisioning.append(provisioning_of(timed, existing=total - len(timed)))
    cast = session.cast.customers
    return [*cast, *(equip(tenant) for tenant in [*made[len(cast) :], *more])]


def measure_many(session: Session, customers: Sequence[Customer]) -> None:
    """Few against all, once the api has met every tenant. Stopped with a note when the machine's memory runs out."""
    stage, seconds = session.stage, session.options.seconds
    session.say("Visiting every tenant ...")
    try:
        first_visit, _ = stage.http(
            "reserve", customers, connections=TOUR_CONNECTIONS, seconds=_TOUR_SECONDS_MAX, is_tour=True
        )
        with_few, _ = stage.http("reserve", customers[-FEW:], connections=CONNECTIONS, seconds=seconds)
        with_all, _ = stage.http("reserve", customers, connections=CONNECTIONS, seconds=seconds)
    except MemoryRanOut as stop:
        session.results.notes.append(f"The runs with {len(customers):,} tenants were {stop}")
        return
    session.results.many = ManyTenants(
        tenants=len(customers),
        few=FEW,
        connections=CONNECTIONS,
        with_few=with_few,
        with_all=with_all,
        first_visit=first_visit,
    )


def measure_migration(customers: Sequence[Customer]) -> Migration:
    """One column more in every schema by the command that a release runs, ended after `MIGRATION_SECONDS_MAX`. Nothing
    may follow it.
    """
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "bench.next_release.settings", "WATERMASTER_PLANE": "console"}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(BASE_DIR / "manage.py"), "migrate_all", "--verbosity=0"], cwd=BASE_DIR, env=environ
    )
    try:
        process.wait(MIGRATION_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
    seconds = time.monotonic() - started
    return Migration(tenants=len(customers), done=_migrated(), seconds=round(seconds, 1))


def _migrated() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT count(*) FROM pg_attribute WHERE attname = {} AND NOT attisdropped").format(
                sql.Literal("bench_remark")
            )
        )
        number: int = cursor.fetchone()[0]
    return number

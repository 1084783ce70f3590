"""Ending many reservations of one tenant at once, while others of its calls are decided."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from django.db import connections

from bench.customers import Customer, equip, provision
from bench.drive import drive
from bench.errors import BenchRefused
from bench.figures import Figures
from bench.generator import Order
from bench.ports import free_port
from bench.servers import api_spec, serving
from bench.traffic import SCOPE_SUFFIXES
from bench.worker_lines import Line, seconds_line
from budgets.models import Reservation
from budgets.models.choices import ReservationStatus
from budgets.services import engine
from budgets.services.operations import Operation
from kernel.embedded import Layout, Servers
from kernel.embedded.layout import SUPERUSER
from kernel.ids import uuid7
from kernel.owner import acting_as_owner
from kernel.tenancy import in_tenant

EXPIRED_SECONDS_MAX: Final = 60
P99_RATIO_MAX: Final = 1.5
_CONNECTIONS: Final = 10
#: Some 2,000 decisions: the slowest twenty make the 99th percentile.
_SECONDS: Final = 20.0
#: As the task does it: turns with rests, one behind the other.
_WORKER: Final = (
    "import sys, time; import django; django.setup()\n"
    "from budgets.services.expiry import visit_tenant\n"
    "from budgets.tasks import EXPIRY_REST\n"
    "from kernel.ids import Tag\n"
    "from kernel.turns import Turn\n"
    "begun = time.perf_counter()\n"
    "while visit_tenant(tag=Tag(sys.argv[1]), has_time=Turn(seconds=2, rest=EXPIRY_REST)).expired:\n"
    "    pass\n"
    "print(time.perf_counter() - begun, flush=True)\n"
)


def measure_expiry(*, servers: Servers, holds: int, rate: float) -> list[Line]:
    """Decisions alone, then beside the worker: of the same tenant, and of another one."""
    made, _ = provision(["bench-due", "bench-else"])
    due, other = (equip(tenant) for tenant in made)
    var, port = servers.layout.root, free_port()
    lines = []
    with serving(api_spec(var=var, port=port), port=port, var=var, environ={"WATERMASTER_PLANE": "api"}):
        for name, customer in (("the same tenant", due), ("another tenant", other)):
            _hold(due, holds)
            # Both once before: the api meets them.
            drive(_order(port, customer, rate, seconds=1))
            _write_back(servers.layout)
            alone = drive(_order(port, customer, rate, seconds=_SECONDS))
            _let_be_over(due)
            _write_back(servers.layout)
            with _worker(due) as worker:
                beside = drive(_order(port, customer, rate, seconds=_SECONDS))
                seconds = float(worker.communicate()[0] or "nan")
            if (left := _active(due)) or worker.returncode:
                raise BenchRefused(f"{left} reservations are still active, the worker answered {worker.returncode}.")
            lines += _lines(name, alone, beside, seconds=seconds, holds=holds, rate=rate)
    return lines


def _lines(name: str, alone: Figures, beside: Figures, *, seconds: float, holds: int, rate: float) -> list[Line]:
    ratio = beside.p99_ms / alone.p99_ms
    p50 = f"p50 {alone.p50_ms:.1f}, {beside.p50_ms:.1f} ms"
    measured = f"p99 {alone.p99_ms:.1f} ms alone, {beside.p99_ms:.1f} ms beside ({ratio:.2f} times); {p50}"
    return [
        seconds_line(
            f"{holds:,} due holds expired, {rate:,.0f} decisions/s of {name}",
            seconds,
            at_most=EXPIRED_SECONDS_MAX,
            number=holds,
        ),
        Line(
            what=f"decisions of {name}",
            measured=measured,
            target=f"<= {P99_RATIO_MAX} times",
            is_missed=ratio > P99_RATIO_MAX,
        ),
    ]


def _order(port: int, customer: Customer, rate: float, *, seconds: float) -> Order:
    return Order(
        port=port,
        connections=_CONNECTIONS,
        kind="reserve",
        accounts=[customer.account],
        seconds=seconds,
        warm_seconds=1.0,
        rate=rate,
    )


def _hold(customer: Customer, holds: int) -> None:
    for first in range(0, holds, 200):
        answers = engine.apply(customer.tag, [_reserve(customer) for _ in range(min(200, holds - first))])
        if any(answer.status != "OK" for answer in answers):
            raise BenchRefused(f"A hold was refused: {answers[0].status}.")


def _reserve(customer: Customer) -> Operation:
    made = uuid7()
    return Operation(
        op="reserve",
        id=made,
        key_id=customer.key_id,
        digest=customer.digest,
        idem=made.hex,
        hash="\\x00",
        suffixes=list(SCOPE_SUFFIXES),
        unit="USD_MICROCENTS",
        amount=1,
        ttl_ms=3_600_000,
        grace_ms=0,
        subject={"tenant": customer.account.slug},
        action={"kind": "llm.completion", "name": "bench"},
    )


def _let_be_over(customer: Customer) -> None:
    """An hour ago; then the table as autovacuum would have it."""
    with acting_as_owner(), in_tenant(customer.tag), connections["default"].cursor() as cursor:
        cursor.execute(
            "UPDATE reservation SET expires_at = expires_at - interval '2 hours', due_at = due_at - interval '2 hours'"
            " WHERE status = 'ACTIVE' AND action ->> 'name' = 'bench'"
        )
        cursor.execute("VACUUM (ANALYZE) reservation")
        cursor.execute("VACUUM (ANALYZE) ledger_entry")


def _write_back(layout: Layout) -> None:
    """What the preparations changed is on the disk: neither side is measured beside that."""
    with psycopg.connect(layout.database_url(user=SUPERUSER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def _active(customer: Customer) -> int:
    with in_tenant(customer.tag):
        return Reservation.objects.filter(status=ReservationStatus.ACTIVE, action__name="bench").count()


@contextmanager
def _worker(customer: Customer) -> Iterator["subprocess.Popen[str]"]:
    root = Path(__file__).resolve().parents[1]
    environ = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'platform'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, customer.tag], env=environ, stdout=subprocess.PIPE, text=True
    )
    # Its start is not what is measured.
    time.sleep(1.5)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()

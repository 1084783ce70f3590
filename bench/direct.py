"""The books called on one connection with the settings of the api's: in batches, and for the first time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, Self

import msgspec
import psutil

from bench.customers import Customer
from bench.figures import Figures, figures_of, quantile_ms
from bench.operations import reserve_batches
from bench.results import Footprint
from budgets.services.operations import Answer
from kernel.ids import Tag, schema_name
from kernel.lanes import Lanes

_DECODER: Final = msgspec.json.Decoder(list[Answer])
_PLANNER_OPTIONS: Final = """
    SELECT string_agg(format('-c %s=%s', name, setting), ' ')
    FROM pg_settings
    WHERE source = 'client' AND category LIKE 'Query Tuning%'
"""


@dataclass(slots=True)
class OneConnection:
    """A connection made as the api makes its own, used by one caller; closed with the block."""

    _lanes: Lanes = field(default_factory=lambda: Lanes(size=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.close()

    def apply(self, tag: Tag, payload: bytes) -> bytes:
        return self.call(tag, "apply", payload)

    def call(self, tag: Tag, name: str, payload: bytes) -> bytes:
        """What the tenant's door answers to the call `name`."""
        query = f"SELECT \"{schema_name(tag)}\".door_v1('{name}', %s)"
        with self._lanes.lane(tag) as lane:
            assert lane.connection is not None
            row = lane.connection.execute(query, (payload.decode(),)).fetchone()
        assert row is not None
        return row[0]

    def planner_options(self) -> str:
        """The settings of the planner that the api asks for, as start-up options."""
        with self._lanes.lane(Tag("")) as lane:
            assert lane.connection is not None
            row = lane.connection.execute(_PLANNER_OPTIONS).fetchone()
        return str(row[0]) if row else ""

    def backend(self) -> psutil.Process:
        with self._lanes.lane(Tag("")) as lane:
            assert lane.connection is not None
            return psutil.Process(lane.connection.info.backend_pid)


def batches(customers: Sequence[Customer], *, size: int, seconds: float) -> Figures:
    """`size` reserves a call, the tenants in turn. `rate` counts reserves, the latencies are those of calls.

    Only the time within calls counts.
    """
    makers = [reserve_batches(customer) for customer in customers]
    answers: list[bytes] = []
    latencies_s: list[float] = []
    with OneConnection() as direct:
        for make, customer in zip(makers, customers, strict=True):
            answers.append(direct.apply(customer.tag, make(size)))
        turn, spent = 0, 0.0
        while spent < seconds:
            payload = makers[turn](size)
            started = time.perf_counter()
            answers.append(direct.apply(customers[turn].tag, payload))
            latencies_s.append(time.perf_counter() - started)
            spent += latencies_s[-1]
            turn = (turn + 1) % len(customers)
    good = sum(answer.status == "OK" for batch in answers for answer in _DECODER.decode(batch))
    calls = figures_of(latencies_s, seconds=spent, accepted=good)
    return replace(calls, units=calls.units * size, rate=round(calls.rate * size, 1))


def footprint(customers: Sequence[Customer]) -> Footprint:
    """What a connection's first reserve for a tenant takes, and what the backend keeps of it, over these tenants.

    The first of them only warms what the tenants share. One ledger entry each time.
    """
    makers = [reserve_batches(customer) for customer in customers]

    def visit_all() -> list[float]:
        seconds = []
        for make, customer in zip(makers[1:], customers[1:], strict=True):
            payload = make(1)
            started = time.perf_counter()
            direct.apply(customer.tag, payload)
            seconds.append(time.perf_counter() - started)
        return sorted(seconds)

    with OneConnection() as direct:
        direct.apply(customers[0].tag, makers[0](1))
        backend = direct.backend()
        before, private_before = backend.cpu_times(), backend.memory_full_info().uss
        first = visit_all()
        after, private_after = backend.cpu_times(), backend.memory_full_info().uss
        again = visit_all()
    visited = len(first)
    return Footprint(
        tenants=visited,
        first_p50_ms=quantile_ms(first, 0.5),
        again_p50_ms=quantile_ms(again, 0.5),
        first_cpu_ms=round((after.user + after.system - before.user - before.system) * 1000 / visited, 2),
        private_kb=round((private_after - private_before) / visited / 1000),
    )

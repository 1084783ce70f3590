"""The processes under test with the tenants that the load speaks for, and the one way to drive them."""

import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import psutil

from bench.asks import tools_body
from bench.cpu import CpuMeter, CpuShares
from bench.customers import Customer
from bench.drive import drive
from bench.errors import BenchRefused
from bench.figures import Figures
from bench.generator import Order
from bench.ports import free_port
from bench.servers import api_spec, at_port, bare_spec, serving
from bench.traffic import (
    BARE_ANSWER_VARIABLE,
    BARE_TOOLS_VARIABLE,
    QUESTIONS,
    SUBJECT,
    Account,
    Traffic,
    reserve_body,
)
from bench.verify import books_of
from config.supervisor.ports import HOST
from kernel.embedded import Servers
from kernel.embedded.postgres import Postgres

FIFTY: Final = 50
WARM_SECONDS: Final = 0.5


_ALONE: Final = 4
CAST_SIZE: Final = _ALONE + 2 * FIFTY + 4


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays what. HTTP and raw runs have tenants of their own, so that each entry has one origin."""

    customers: Sequence[Customer]

    @property
    def hot(self) -> Customer:
        return self.customers[0]

    @property
    def hot_raw(self) -> Customer:
        return self.customers[1]

    @property
    def batch(self) -> Customer:
        return self.customers[2]

    @property
    def quiet(self) -> Customer:
        return self.customers[3]

    @property
    def fifty(self) -> Sequence[Customer]:
        return self.customers[_ALONE : _ALONE + FIFTY]

    @property
    def fifty_raw(self) -> Sequence[Customer]:
        return self.customers[_ALONE + FIFTY : _ALONE + 2 * FIFTY]

    @property
    def plain(self) -> Customer:
        """Who has no rules, beside `ruled`, who has a whole rule book. Both begin with empty books."""
        return self.customers[-4]

    @property
    def ruled(self) -> Customer:
        return self.customers[-3]

    @property
    def acme(self) -> Customer:
        """Who keeps to half of its rate limit while `initech` floods at a hundred times its own."""
        return self.customers[-2]

    @property
    def initech(self) -> Customer:
        return self.customers[-1]


@dataclass(slots=True, kw_only=True)
class Stage:
    """The api process and the bare view, up and answering. `mismatches` gathers what a run's books lack or have too
    much.
    """

    var: Path
    api_port: int
    api: psutil.Process
    bare_port: int
    bare: psutil.Process
    postmaster: psutil.Process
    tools_answer_bytes: int
    mismatches: list[str] = field(default_factory=list)

    def http(
        self,
        kind: Traffic,
        customers: Sequence[Customer],
        *,
        connections: int,
        seconds: float,
        is_tour: bool = False,
        rate: float | None = None,
    ) -> tuple[Figures, CpuShares]:
        """Drive the api, then hold what was acknowledged against the books."""
        books = books_of(customers)
        order = self.order(kind, customers, connections=connections, seconds=seconds, is_tour=is_tour, rate=rate)
        figures, shares = self._drive(order, CpuMeter({"api": self.api, "postgres": self.postmaster}))
        self.mismatches += books.mismatches(replace(figures, accepted=0) if kind in QUESTIONS else figures)
        return figures, shares

    def bare_http(self, account: Account, *, connections: int, seconds: float, kind: Traffic = "reserve") -> Figures:
        order = Order(port=self.bare_port, connections=connections, kind=kind, accounts=[account], seconds=seconds)
        figures, _ = self._drive(order, CpuMeter({"api": self.bare, "postgres": self.postmaster}))
        return figures

    def order(
        self,
        kind: Traffic,
        customers: Sequence[Customer],
        *,
        connections: int,
        seconds: float,
        is_tour: bool = False,
        rate: float | None = None,
    ) -> Order:
        return Order(
            port=self.api_port,
            connections=connections,
            kind=kind,
            accounts=[customer.account for customer in customers],
            seconds=seconds,
            warm_seconds=0 if is_tour else WARM_SECONDS,
            is_tour=is_tour,
            rate=rate,
        )

    @staticmethod
    def _drive(order: Order, meter: CpuMeter) -> tuple[Figures, CpuShares]:
        shares: list[CpuShares] = []

        def on_window(word: str, load_pid: int) -> None:
            if word == "begin":
                meter.begin(load_pid)
            else:
                shares.append(meter.end())

        figures = drive(order, on_window=on_window)
        return figures, shares[0]


@contextmanager
def set_stage(servers: Servers, cast: Cast) -> Iterator[Stage]:
    """Start both processes; the bare view answers what the api answers to one of the cast."""
    var = servers.layout.root
    api_port, bare_port = free_port(), free_port()
    postmaster_pid = Postgres(layout=servers.layout, account=servers.account()).postmaster_pid()
    if postmaster_pid is None:
        raise BenchRefused("PostgreSQL has ended by itself.")
    spec = api_spec(var=var, port=api_port)
    with serving(spec, port=api_port, var=var, environ={}) as api:
        environ = _keep_answers(api_port, cast, folder=var)
        bare = at_port(bare_spec(spec), bare_port)
        with serving(bare, port=bare_port, var=var, environ=environ) as bare_process:
            yield Stage(
                var=var,
                api_port=api_port,
                api=api,
                bare_port=bare_port,
                bare=bare_process,
                postmaster=psutil.Process(postmaster_pid),
                tools_answer_bytes=Path(environ[BARE_TOOLS_VARIABLE]).stat().st_size,
            )


def _keep_answers(port: int, cast: Cast, *, folder: Path) -> dict[str, str]:
    """Ask the api what the bare view is to answer; the files by the variables that name them."""
    hot, ruled = cast.hot.account, cast.ruled.account
    questions = (
        (BARE_ANSWER_VARIABLE, hot, "/v1/reservations", reserve_body(hot.slug, "the-first-of-all")),
        (BARE_TOOLS_VARIABLE, ruled, "/v1/x-watermaster/tools", tools_body({"tenant": ruled.slug, **SUBJECT})),
    )
    files = {}
    for variable, account, path, body in questions:
        file = folder / f"{variable.lower()}.json"
        file.write_bytes(_ask_once(port, account, path, body))
        files[variable] = str(file)
    return files


def _ask_once(port: int, account: Account, path: str, body: object) -> bytes:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        headers = {"X-Cycles-API-Key": account.token, "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchRefused(f"The api refused {path} with {response.status}: {answer.decode(errors='replace')}")
    return answer

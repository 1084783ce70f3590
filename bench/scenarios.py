"""What is measured, one function a scenario. Each leaves its figures in the results and says so in a line.

More of them: `bench.admission`, `bench.neighbours`, `bench.answers`, `bench.many`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import median
from typing import Final

from bench import direct
from bench.cpu import median_shares
from bench.customers import Customer, provision
from bench.disk import sync_p50_ms
from bench.drive import Generator
from bench.figures import Figures, median_of
from bench.pgbench import CLIENTS_MAX, pgbench
from bench.results import BatchRow, NewTenants, Results, Row
from bench.stage import FIFTY, Cast, Stage
from bench.traffic import Kind
from bench.verify import books_of

BATCH_SIZE: Final = 64
BATCH_SECONDS: Final = 1.0
NEW_TENANTS_CONNECTIONS: Final = 10
_WARM_ROUNDS_MAX: Final = 8
_WARM_ROUND_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    seconds: float
    repeat: int
    connections: tuple[int, ...]
    only: frozenset[str]
    many_tenants: int

    def wants(self, name: str) -> bool:
        return not self.only or name in self.only


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of the bench under way."""

    stage: Stage
    cast: Cast
    options: Options
    results: Results
    say: Callable[[str], None]


def warm_up(session: Session) -> None:
    """Let the api's connections meet the tenants: a tenant's first request in each of them costs some ten milliseconds.

    It ends when the rate no longer rises. `measure_footprint` says what such a first meeting takes.
    """
    session.say("Warming up ...")
    for customers in ([session.cast.hot, session.cast.quiet], session.cast.fifty):
        rate = 0.0
        for _ in range(_WARM_ROUNDS_MAX):
            before = rate
            rate = session.stage.http("lifecycle", customers, connections=64, seconds=_WARM_ROUND_SECONDS)[0].rate
            if rate < before * 1.1:
                break


def measure_rows(session: Session) -> None:
    """Reserves and lifecycles, for one hot tenant and for fifty, at each number of connections."""
    options, cast = session.options, session.cast
    kinds: tuple[Kind, ...] = ("reserve", "lifecycle")
    bare: dict[int, Figures] = {}
    for kind, tenants, connections in product(kinds, (1, FIFTY), options.connections):
        if not options.wants(kind):
            continue
        if connections not in bare and options.wants("bare"):
            bare[connections] = _measure_bare(session, connections)
        over_http, without = ([cast.hot], [cast.hot_raw]) if tenants == 1 else (cast.fifty, cast.fifty_raw)
        row = _measure_row(session, kind, over_http, without, connections=connections)
        row = replace(row, bare=bare.get(connections))
        session.results.rows.append(row)
        session.say(line(f"{kind}, {tenants} tenant{'s' * (tenants > 1)}, {connections} connections", row.http))


def _measure_row(
    session: Session, kind: Kind, over_http: Sequence[Customer], without: Sequence[Customer], *, connections: int
) -> Row:
    options = session.options
    clients = min(connections, CLIENTS_MAX)
    raw_runs, http_runs, shares, syncs = [], [], [], []
    for _ in range(options.repeat):
        if options.wants("raw"):
            books = books_of(without)
            raw_runs.append(pgbench(kind, without, clients=clients, seconds=min(options.seconds, 2)))
            session.stage.mismatches += books.mismatches(raw_runs[-1])
        syncs.append(sync_p50_ms(session.stage.var))
        figures, share = session.stage.http(kind, over_http, connections=connections, seconds=options.seconds)
        http_runs.append(figures)
        shares.append(share)
    return Row(
        kind=kind,
        tenants=len(over_http),
        connections=connections,
        http=median_of(http_runs),
        http_runs=http_runs,
        cpu=median_shares(shares),
        sync_p50_ms=round(median(syncs), 3),
        raw_clients=clients if raw_runs else None,
        raw=median_of(raw_runs) if raw_runs else None,
        raw_runs=raw_runs,
    )


def _measure_bare(session: Session, connections: int) -> Figures:
    runs = [
        session.stage.bare_http(
            session.cast.hot.account, connections=connections, seconds=min(session.options.seconds, 2)
        )
        for _ in range(session.options.repeat)
    ]
    session.say(line(f"bare view, {connections} connections", median_of(runs)))
    return median_of(runs)


def measure_batches(session: Session) -> None:
    """One connection with batches: what the function can do when nothing stands around it."""
    for customers in ([session.cast.batch], session.cast.fifty_raw):
        runs = []
        for _ in range(session.options.repeat):
            books = books_of(customers)
            runs.append(direct.batches(customers, size=BATCH_SIZE, seconds=BATCH_SECONDS))
            session.stage.mismatches += books.mismatches(runs[-1])
        figures = median_of(runs)
        session.results.batches.append(BatchRow(tenants=len(customers), size=BATCH_SIZE, raw=figures))
        session.say(line(f"batches of {BATCH_SIZE}, {len(customers)} tenants, 1 connection", figures))


def measure_new_tenants(session: Session) -> None:
    """Does making tenants disturb those that are there? Each new table is news to every connection of the api."""
    stage, fifty, seconds = session.stage, session.cast.fifty, session.options.seconds
    alone, _ = stage.http("reserve", fifty, connections=NEW_TENANTS_CONNECTIONS, seconds=seconds)
    books = books_of(fifty)
    load = Generator(stage.order("reserve", fifty, connections=NEW_TENANTS_CONNECTIONS, seconds=seconds))
    made = 0
    try:
        load.wait_for("begin")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            provision([f"beside-{made:03}"])
            made += 1
        beside = load.figures()
    finally:
        load.end()
    stage.mismatches += books.mismatches(beside)
    session.results.new_tenants = NewTenants(made=made, connections=NEW_TENANTS_CONNECTIONS, alone=alone, beside=beside)
    session.say(line(f"{FIFTY} tenants, {NEW_TENANTS_CONNECTIONS} connections", alone))
    session.say(line(f"the same beside {made} new tenants", beside))


def measure_footprint(session: Session) -> None:
    """What a tenant costs in each connection that serves it."""
    customers = session.cast.fifty_raw
    books = books_of(customers)
    found = direct.footprint(customers)
    session.results.footprint = found
    written = Figures(units=0, rate=0, p50_ms=0, p90_ms=0, p99_ms=0, max_ms=0, accepted=2 * found.tenants + 1)
    session.stage.mismatches += books.mismatches(written)


def line(what: str, figures: Figures) -> str:
    """One run for the terminal."""
    return (
        f"  {what:<42} {figures.rate:>9,.0f}/s   p50 {figures.p50_ms:>7.2f}   p99 {figures.p99_ms:>7.2f} ms"
        f"{f'   {figures.refused} refused' if figures.refused else ''}"
    )

"""What was promised, and whether this run kept it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.results import Results, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`measured` reads the figure out of the results, None where it was not measured; it is to be `limit` at least, or
    at most.
    """

    name: str
    limit: float
    is_minimum: bool
    unit: str
    measured: Callable[[Results], float | None]

    @property
    def wanted(self) -> str:
        return f"{'≥' if self.is_minimum else '≤'} {self.limit:,g}{self.unit}"

    def verdict(self, value: float | None) -> str:
        if value is None:
            return "not measured"
        is_met = value >= self.limit if self.is_minimum else value <= self.limit
        distance = abs(value - self.limit) / self.limit
        side = "above" if value > self.limit else "below"
        if is_met:
            return f"met, {distance:.0%} {side}"
        return f"**missed by {distance:.0%}**"


def _of_row(kind: str, connections: int, read: Callable[[Row], float | None]) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        assert kind in {"reserve", "lifecycle"}
        row = results.row("reserve" if kind == "reserve" else "lifecycle", tenants=1, connections=connections)
        return read(row) if row else None

    return measured


def _admit_ratio(results: Results) -> float | None:
    return next((row.p50_ratio for row in results.admits if row.connections == 1), None)


TARGETS: Final = (
    Target(
        name="Reserves, one hot tenant, 200 connections",
        limit=2_500,
        is_minimum=True,
        unit="/s",
        measured=_of_row("reserve", 200, lambda row: row.http.rate),
    ),
    Target(
        name="the same, p99",
        limit=150,
        is_minimum=False,
        unit=" ms",
        measured=_of_row("reserve", 200, lambda row: row.http.p99_ms),
    ),
    Target(
        name="Lifecycles, one hot tenant, 32 connections",
        limit=1_200,
        is_minimum=True,
        unit="/s",
        measured=_of_row("lifecycle", 32, lambda row: row.http.rate),
    ),
    Target(
        name="the same, p99 of a whole lifecycle",
        limit=60,
        is_minimum=False,
        unit=" ms",
        measured=_of_row("lifecycle", 32, lambda row: row.http.p99_ms),
    ),
    Target(
        name="Reserve on one connection, p50",
        limit=2,
        is_minimum=False,
        unit=" ms",
        measured=_of_row("reserve", 1, lambda row: row.http.p50_ms),
    ),
    Target(
        name="the same, p99",
        limit=6,
        is_minimum=False,
        unit=" ms",
        measured=_of_row("reserve", 1, lambda row: row.http.p99_ms),
    ),
    Target(
        name="Reserves / requests of a bare view, 200 connections",
        limit=0.5,
        is_minimum=True,
        unit="",
        measured=_of_row("reserve", 200, lambda row: row.to_bare),
    ),
    Target(
        name="Admit / reserve of a tenant without rules, one connection, p50",
        limit=1.25,
        is_minimum=False,
        unit="",
        measured=_admit_ratio,
    ),
    Target(
        name="Quiet tenant's p99 beside a flood at 100 times its limit / alone",
        limit=1.5,
        is_minimum=False,
        unit="",
        measured=lambda results: results.limited_neighbour.p99_ratio if results.limited_neighbour else None,
    ),
    Target(
        name="Tool policy's answer for 200 tools, over HTTP, p50",
        limit=5,
        is_minimum=False,
        unit=" ms",
        measured=lambda results: results.answers.http.p50_ms if results.answers else None,
    ),
    Target(
        name="Planner's figures for one agent, p50",
        limit=5,
        is_minimum=False,
        unit=" ms",
        measured=lambda results: results.answers.plan_with_file.p50_ms if results.answers else None,
    ),
    Target(
        name="Provisioning of a tenant, p50",
        limit=150,
        is_minimum=False,
        unit=" ms",
        measured=lambda results: results.provisioning[-1].p50_ms if results.provisioning else None,
    ),
    Target(
        name="Memory of an api process",
        limit=200,
        is_minimum=False,
        unit=" MB",
        measured=lambda results: max(results.memory.api_process_rss_mb, default=None) if results.memory else None,
    ),
    Target(
        name="Memory of a backend connection, private",
        limit=150,
        is_minimum=False,
        unit=" MB",
        measured=lambda results: results.memory.backend_private_max_mb if results.memory else None,
    ),
    Target(
        name="Hot path with all tenants / with 10, p50",
        limit=1.3,
        is_minimum=False,
        unit="",
        measured=lambda results: results.many.p50_ratio if results.many else None,
    ),
    Target(
        name="the same, p99",
        limit=1.3,
        is_minimum=False,
        unit="",
        measured=lambda results: results.many.p99_ratio if results.many else None,
    ),
    Target(
        name="Migration of all tenants by one column",
        limit=60,
        is_minimum=False,
        unit=" s",
        measured=lambda results: (
            results.many.migration.all_seconds if results.many and results.many.migration else None
        ),
    ),
)

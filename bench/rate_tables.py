"""What goes through in a second, a line for each number of connections or size of a batch."""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.figures import Figures
from bench.markdown import latencies, number, table
from bench.results import AdmitRow, Results, Row

_TRAFFIC_HEADS: Final = (
    *("tenants", "connections", "rate /s", "p50 ms", "p90", "p99", "max", "refused"),
    *("pgbench /s", "its p50 ms", "its p99", "HTTP / pgbench", "bare view /s", "HTTP / bare"),
    *("cores: load", "api", "PostgreSQL", "other", "disk ms"),
)


def traffic(results: Results, kind: str, title: str) -> Iterator[str]:
    rows = [row for row in results.rows if row.kind == kind]
    if not rows:
        return
    yield from ("", title, "")
    yield from table(_TRAFFIC_HEADS, (_traffic_row(row) for row in rows))


def _traffic_row(row: Row) -> Sequence[str]:
    http, raw, cpu = row.http, row.raw, row.cpu
    without = ("–", "–", "–") if raw is None else (_raw_rate(row, raw), number(raw.p50_ms), number(raw.p99_ms))
    return (
        str(row.tenants),
        str(row.connections),
        f"**{number(http.rate)}**",
        *(number(value) for value in latencies(http)),
        str(http.refused),
        *without,
        number(row.to_raw),
        number(row.bare.rate if row.bare else None),
        number(row.to_bare),
        *(f"{cores:.2f}" for cores in (cpu.load, cpu.api, cpu.postgres, cpu.other)),
        number(row.sync_p50_ms),
    )


def _raw_rate(row: Row, raw: Figures) -> str:
    clients = "" if row.raw_clients == row.connections else f" ({row.raw_clients} clients)"
    return f"{number(raw.rate)}{clients}"


def admits(results: Results) -> Iterator[str]:
    if not results.admits:
        return
    yield from ("", "### Admissions, beside plain reserves in turns", "")
    yield from table(
        (
            *("connections", "reserve without rules /s", "p50 ms", "p99", "reserve with rules /s", "p50 ms", "p99"),
            *(
                "admit /s",
                "p50 ms",
                "p99",
                "refused",
                "reserve with / without rules, p50",
                "admit / reserve with rules",
            ),
            *("**admit / reserve without rules, p50**", "p99", "rate"),
        ),
        (_admit_row(row) for row in results.admits),
    )


def _admit_row(row: AdmitRow) -> Sequence[str]:
    runs = (row.plain, row.ruled, row.admit)
    return (
        str(row.connections),
        *(number(value) for run in runs for value in (run.rate, run.p50_ms, run.p99_ms)),
        str(sum(run.refused for run in runs)),
        number(row.ruled_p50_ratio),
        number(row.admit_to_ruled_p50),
        f"**{number(row.p50_ratio)}**",
        number(row.p99_ratio),
        number(row.rate_ratio),
    )


def batches(results: Results) -> Iterator[str]:
    if not results.batches:
        return
    yield from ("", "### The SQL function fed with batches, one connection", "")
    yield from table(
        ("tenants", "batch", "operations /s", "p50 of a batch, ms", "p99"),
        (
            (
                str(row.tenants),
                str(row.size),
                f"**{number(row.raw.rate)}**",
                number(row.raw.p50_ms),
                number(row.raw.p99_ms),
            )
            for row in results.batches
        ),
    )

"""How a figure and a table look to people."""

from collections.abc import Iterator, Mapping, Sequence

from bench.figures import Figures


def table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def comparison(what: str, runs: Mapping[str, Figures]) -> Iterator[str]:
    yield from table(
        (what, "rate /s", "p50 ms", "p90", "p99", "max", "refused"),
        (
            (name, number(run.rate), *(number(value) for value in latencies(run)), str(run.refused))
            for name, run in runs.items()
        ),
    )


def latencies(run: Figures) -> tuple[float, float, float, float]:
    return run.p50_ms, run.p90_ms, run.p99_ms, run.max_ms


def number(value: float | None) -> str:
    """Three digits that matter, no more."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"

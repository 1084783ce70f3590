"""Results as a file for programs and as tables for people."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Figures
from bench.results import AdmitRow, Neighbour, Results, Row
from bench.targets import TARGETS

BEGIN: Final = "<!-- figures: written by `make bench`, do not edit -->"
END: Final = "<!-- end of figures -->"

_TRAFFIC_HEADS: Final = (
    *("tenants", "connections", "rate /s", "p50 ms", "p90", "p99", "max", "refused"),
    *("pgbench /s", "its p50 ms", "its p99", "HTTP / pgbench", "bare view /s", "HTTP / bare"),
    *("cores: load", "api", "PostgreSQL", "other", "disk ms"),
)


def write_json(results: Results, folder: Path) -> Path:
    """`<date>-<commit>.json` in `folder`; a later run of the same day and commit takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.began_at[:10]}-{results.commit}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_with_ratios(results)), indent=2) + b"\n")
    return path


def _with_ratios(results: Results) -> dict[str, object]:
    """The results with what is reckoned from them, so that no reader has to."""
    whole: dict[str, object] = msgspec.to_builtins(results)
    whole["targets"] = [
        {"name": target.name, "wanted": target.wanted, "measured": value, "verdict": target.verdict(value)}
        for target in TARGETS
        for value in [target.measured(results)]
    ]
    whole["ratios"] = [
        {
            "kind": row.kind,
            "tenants": row.tenants,
            "connections": row.connections,
            "http_to_pgbench": row.to_raw,
            "http_to_bare": row.to_bare,
        }
        for row in results.rows
    ]
    whole["admit_ratios"] = [
        {
            "connections": row.connections,
            "admit_to_reserve_p50": row.p50_ratio,
            "admit_to_reserve_p99": row.p99_ratio,
            "admit_to_reserve_rate": row.rate_ratio,
            "reserve_with_to_without_rules_p50": row.ruled_p50_ratio,
        }
        for row in results.admits
    ]
    return whole


def replace_figures(page: Path, text: str) -> None:
    """Put `text` between the marks of `page`. Raises ValueError if they are not there."""
    before, mark, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{page} has no place for figures: it needs the lines {BEGIN} and {END}.")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def tables(results: Results) -> str:
    """All figures of a run as Markdown."""
    return "\n".join(
        [
            *_origin(results),
            "",
            "### Targets",
            "",
            *_table(("what", "wanted", "measured", "verdict"), _target(results)),
            *_traffic(results, "reserve", "### Reserves"),
            *_traffic(results, "lifecycle", "### Lifecycles: reserve, then commit"),
            *_admits(results),
            *_answers(results),
            *_batches(results),
            *_limited_neighbour(results),
            *_neighbour(results),
            *_new_tenants(results),
            *_many(results),
            *_rest(results),
            *(line for note in results.notes for line in ("", note)),
        ]
    )


def _origin(results: Results) -> Iterator[str]:
    machine, setting = results.machine, results.settings
    changed = " with uncommitted changes" if results.is_changed else ""
    yield (
        f"{results.began_at[:10]}, commit `{results.commit}`{changed}; {machine.processor}, {machine.cores} cores, "
        f"{machine.memory_gb:g} GB; load average before the run {machine.load_before:g}. "
        f"Python {results.versions['python']}, Django {results.versions['django']}, "
        f"granian {results.versions['granian']} ({setting['api_workers']} workers, {setting['api_threads']} threads "
        f"each), PostgreSQL {setting['postgresql']} "
        f"(fsync {setting['fsync']}, synchronous_commit {setting['synchronous_commit']}). "
        f"{setting['seconds']:g} s a run, {_runs(setting['repeat'])}."
    )
    yield ""
    yield (
        f"Ledger: {results.audited_entries:,} entries of {results.audited_tenants:,} tenants audited, "
        f"**{len(results.mismatches)} mismatches**."
    )


def _runs(repeat: object) -> str:
    return "one run each" if repeat == 1 else f"medians of {repeat} runs"


def _target(results: Results) -> Iterator[Sequence[str]]:
    for target in TARGETS:
        value = target.measured(results)
        shown = "–" if value is None else f"{_number(value)}{target.unit}"
        yield target.name, target.wanted, shown, target.verdict(value)


def _traffic(results: Results, kind: str, title: str) -> Iterator[str]:
    rows = [row for row in results.rows if row.kind == kind]
    if not rows:
        return
    yield from ("", title, "")
    yield from _table(_TRAFFIC_HEADS, (_traffic_row(row) for row in rows))


def _traffic_row(row: Row) -> Sequence[str]:
    http, raw, cpu = row.http, row.raw, row.cpu
    without = ("–", "–", "–") if raw is None else (_raw_rate(row, raw), _number(raw.p50_ms), _number(raw.p99_ms))
    return (
        str(row.tenants),
        str(row.connections),
        f"**{_number(http.rate)}**",
        *(_number(value) for value in _latencies(http)),
        str(http.refused),
        *without,
        _number(row.to_raw),
        _number(row.bare.rate if row.bare else None),
        _number(row.to_bare),
        *(f"{cores:.2f}" for cores in (cpu.load, cpu.api, cpu.postgres, cpu.other)),
        _number(row.sync_p50_ms),
    )


def _raw_rate(row: Row, raw: Figures) -> str:
    clients = "" if row.raw_clients == row.connections else f" ({row.raw_clients} clients)"
    return f"{_number(raw.rate)}{clients}"


def _admits(results: Results) -> Iterator[str]:
    if not results.admits:
        return
    yield from ("", "### Admissions, beside plain reserves in turns", "")
    yield from _table(
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
        *(_number(value) for run in runs for value in (run.rate, run.p50_ms, run.p99_ms)),
        str(sum(run.refused for run in runs)),
        _number(row.ruled_p50_ratio),
        _number(row.admit_to_ruled_p50),
        f"**{_number(row.p50_ratio)}**",
        _number(row.p99_ratio),
        _number(row.rate_ratio),
    )


def _answers(results: Results) -> Iterator[str]:
    found = results.answers
    if found is None:
        return
    yield from ("", "### Answers that book nothing", "")
    yield from _comparison(
        f"{found.tools} tools, {found.rules} rules: {found.request_bytes / 1000:.0f} kB there, "
        f"{found.answer_bytes / 1000:.0f} kB back",
        {
            "over HTTP, one connection": found.http,
            "bare view, as many bytes": found.bare,
            "the SQL function alone": found.function,
            "planner, one agent's figures, in the process": found.plan,
            "the same, its file read first": found.plan_with_file,
        },
    )
    yield ""
    yield f"Tool policy over HTTP less bare view: p50 {_number(found.server_p50_ms)} ms."


def _limited_neighbour(results: Results) -> Iterator[str]:
    found = results.limited_neighbour
    if found is None:
        return
    yield from ("", "### A quiet tenant beside a flood at 100 times its limit", "")
    yield from _comparison(
        f"by the clock, {found.connections} and {found.flood_connections} connections",
        {
            f"{found.rate:g}/s of {found.limit}/s allowed, alone": found.alone,
            "the same beside the flood": found.beside,
            f"the flood: {found.flood_rate:g}/s, {found.flood_limit}/s allowed": found.flood,
        },
    )
    yield from _beside(found)


def _batches(results: Results) -> Iterator[str]:
    if not results.batches:
        return
    yield from ("", "### The SQL function fed with batches, one connection", "")
    yield from _table(
        ("tenants", "batch", "operations /s", "p50 of a batch, ms", "p99"),
        (
            (
                str(row.tenants),
                str(row.size),
                f"**{_number(row.raw.rate)}**",
                _number(row.raw.p50_ms),
                _number(row.raw.p99_ms),
            )
            for row in results.batches
        ),
    )


def _neighbour(results: Results) -> Iterator[str]:
    found = results.neighbour
    if found is None:
        return
    flood = f"beside {found.flood_connections} connections of another tenant ({_number(found.flood.rate)}/s)"
    yield from ("", "### A quiet tenant beside a flood that nothing limits", "")
    yield from _comparison("quiet tenant, one connection", {"alone": found.alone, flood: found.beside})
    yield from _beside(found)


def _beside(found: Neighbour) -> Iterator[str]:
    yield ""
    yield f"Beside / alone: p50 {_number(found.p50_ratio)}, p99 {_number(found.p99_ratio)}."


def _new_tenants(results: Results) -> Iterator[str]:
    found = results.new_tenants
    if found is None:
        return
    yield from ("", f"### Fifty tenants, {found.connections} connections, while new tenants are made", "")
    yield from _comparison("traffic", {"alone": found.alone, f"beside {found.made} new tenants": found.beside})
    yield ""
    yield f"Beside / alone: p99 {_number(found.p99_ratio)}."


def _many(results: Results) -> Iterator[str]:
    many = results.many
    if many is None:
        return
    title = f"### {many.tenants:,} tenants, {many.connections} connections, a random tenant for each request"
    yield from ("", title, "")
    yield from _comparison(
        "tenants in use",
        {
            f"{many.few}": many.with_few,
            f"{many.tenants:,}": many.with_all,
            f"{many.tenants:,}, each for the first time": many.first_visit,
        },
    )
    if many.migration is not None:
        migration = many.migration
        yield ""
        yield (
            f"One column added to {migration.done:,} of {migration.tenants:,} tenants in {migration.seconds:g} s: "
            f"{_number(migration.all_seconds)} s for all."
        )


def _comparison(what: str, runs: Mapping[str, Figures]) -> Iterator[str]:
    yield from _table(
        (what, "rate /s", "p50 ms", "p90", "p99", "max", "refused"),
        (
            (name, _number(run.rate), *(_number(value) for value in _latencies(run)), str(run.refused))
            for name, run in runs.items()
        ),
    )


def _latencies(run: Figures) -> tuple[float, float, float, float]:
    return run.p50_ms, run.p90_ms, run.p99_ms, run.max_ms


def _rest(results: Results) -> Iterator[str]:
    if not results.provisioning and results.memory is None:
        return
    yield from ("", "### Provisioning and memory", "")
    for made in results.provisioning:
        yield (
            f"- {made.made} tenants made one after the other, {made.existing:,} being there: "
            f"p50 {_number(made.p50_ms)} ms, p99 {_number(made.p99_ms)} ms, max {_number(made.max_ms)} ms."
        )
    footprint, memory = results.footprint, results.memory
    if footprint is not None:
        yield (
            f"- A connection's first reserve for a tenant: {_number(footprint.first_p50_ms)} ms, later ones "
            f"{_number(footprint.again_p50_ms)} ms (p50 of {footprint.tenants} tenants); the first one takes "
            f"{_number(footprint.first_cpu_ms)} ms of processor time, and its backend keeps "
            f"{_number(footprint.private_kb / 1000)} MB for each tenant."
        )
    if memory is not None:
        resident = ", ".join(_number(value) for value in memory.api_process_rss_mb)
        private = ", ".join(_number(value) for value in memory.api_process_private_mb)
        yield f"- The api's workers afterwards: {resident} MB resident, {private} MB of it private."
        yield (
            f"- The largest of the api's {memory.backends} backends: "
            f"{_number(memory.backend_private_max_mb)} MB private, "
            f"{_number(memory.backend_rss_max_mb)} MB resident with the shared buffers that it touched."
        )


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _number(value: float | None) -> str:
    """Three digits that matter, no more."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"

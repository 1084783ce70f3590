"""All figures of a run as a page for people."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.comparison_tables import answers, limited_neighbour, many, neighbour, new_tenants
from bench.markdown import number, table
from bench.rate_tables import admits, batches, traffic
from bench.results import Results
from bench.targets import TARGETS

BEGIN: Final = "<!-- figures: written by `make bench`, do not edit -->"
END: Final = "<!-- end of figures -->"


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
            *table(("what", "wanted", "measured", "verdict"), _target(results)),
            *traffic(results, "reserve", "### Reserves"),
            *traffic(results, "lifecycle", "### Lifecycles: reserve, then commit"),
            *admits(results),
            *answers(results),
            *batches(results),
            *limited_neighbour(results),
            *neighbour(results),
            *new_tenants(results),
            *many(results),
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
        shown = "–" if value is None else f"{number(value)}{target.unit}"
        yield target.name, target.wanted, shown, target.verdict(value)


def _rest(results: Results) -> Iterator[str]:
    if not results.provisioning and results.memory is None:
        return
    yield from ("", "### Provisioning and memory", "")
    for made in results.provisioning:
        yield (
            f"- {made.made} tenants made one after the other, {made.existing:,} being there: "
            f"p50 {number(made.p50_ms)} ms, p99 {number(made.p99_ms)} ms, max {number(made.max_ms)} ms."
        )
    footprint, memory = results.footprint, results.memory
    if footprint is not None:
        yield (
            f"- A connection's first reserve for a tenant: {number(footprint.first_p50_ms)} ms, later ones "
            f"{number(footprint.again_p50_ms)} ms (p50 of {footprint.tenants} tenants); the first one takes "
            f"{number(footprint.first_cpu_ms)} ms of processor time, and its backend keeps "
            f"{number(footprint.private_kb / 1000)} MB for each tenant."
        )
    if memory is not None:
        resident = ", ".join(number(value) for value in memory.api_process_rss_mb)
        private = ", ".join(number(value) for value in memory.api_process_private_mb)
        yield f"- The api's workers afterwards: {resident} MB resident, {private} MB of it private."
        yield (
            f"- The largest of the api's {memory.backends} backends: "
            f"{number(memory.backend_private_max_mb)} MB private, "
            f"{number(memory.backend_rss_max_mb)} MB resident with the shared buffers that it touched."
        )

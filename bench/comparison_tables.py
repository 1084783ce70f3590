"""The same requests under different circumstances, a line for each of them."""

from collections.abc import Iterator

from bench.markdown import comparison, number
from bench.results import Neighbour, Results


def answers(results: Results) -> Iterator[str]:
    found = results.answers
    if found is None:
        return
    yield from ("", "### Answers that book nothing", "")
    yield from comparison(
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
    yield f"Tool policy over HTTP less bare view: p50 {number(found.server_p50_ms)} ms."


def limited_neighbour(results: Results) -> Iterator[str]:
    found = results.limited_neighbour
    if found is None:
        return
    yield from ("", "### A quiet tenant beside a flood at 100 times its limit", "")
    yield from comparison(
        f"by the clock, {found.connections} and {found.flood_connections} connections",
        {
            f"{found.rate:g}/s of {found.limit}/s allowed, alone": found.alone,
            "the same beside the flood": found.beside,
            f"the flood: {found.flood_rate:g}/s, {found.flood_limit}/s allowed": found.flood,
        },
    )
    yield from _beside(found)


def neighbour(results: Results) -> Iterator[str]:
    found = results.neighbour
    if found is None:
        return
    flood = f"beside {found.flood_connections} connections of another tenant ({number(found.flood.rate)}/s)"
    yield from ("", "### A quiet tenant beside a flood that nothing limits", "")
    yield from comparison("quiet tenant, one connection", {"alone": found.alone, flood: found.beside})
    yield from _beside(found)


def _beside(found: Neighbour) -> Iterator[str]:
    yield ""
    yield f"Beside / alone: p50 {number(found.p50_ratio)}, p99 {number(found.p99_ratio)}."


def new_tenants(results: Results) -> Iterator[str]:
    found = results.new_tenants
    if found is None:
        return
    yield from ("", f"### Fifty tenants, {found.connections} connections, while new tenants are made", "")
    yield from comparison("traffic", {"alone": found.alone, f"beside {found.made} new tenants": found.beside})
    yield ""
    yield f"Beside / alone: p99 {number(found.p99_ratio)}."


def many(results: Results) -> Iterator[str]:
    many = results.many
    if many is None:
        return
    title = f"### {many.tenants:,} tenants, {many.connections} connections, a random tenant for each request"
    yield from ("", title, "")
    yield from comparison(
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
            f"{number(migration.all_seconds)} s for all."
        )

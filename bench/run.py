"""One run of the bench, from its own servers to the audit of all its books."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import connections

from bench.admission import measure_admit
from bench.answers import measure_answers
from bench.customers import equip, provision
from bench.errors import BenchRefused
from bench.machine import commit_of, this_machine, versions
from bench.many import grow, measure_many, measure_migration, provisioning_of
from bench.memory import memory_of
from bench.neighbours import FLOOD_LIMIT, QUIET_LIMIT, measure_limited_neighbour, measure_neighbour
from bench.pgbench import CLIENTS_MAX
from bench.results import Results
from bench.rulebook import limit_rate, rule_all
from bench.scenarios import (
    Options,
    Session,
    measure_batches,
    measure_footprint,
    measure_new_tenants,
    measure_rows,
    warm_up,
)
from bench.servers import DURABLE, api_spec, private_servers, server_setting
from bench.stage import CAST_SIZE, FIFTY, Cast, set_stage
from bench.traffic import SCOPE_SUFFIXES
from bench.verify import audit_books
from budgets.services.combiner import BATCH_MAX, CALLS_MAX
from config.environment import BASE_DIR
from kernel.lanes import LANES, shared_lanes

PROVISIONED: Final = 200
_SERVER_SETTINGS: Final = (*DURABLE, "shared_buffers", "max_connections", "max_wal_size", "wal_compression")


def run(options: Options, *, say: Callable[[str], None]) -> Results:
    """Everything that was asked for. Figures come with `mismatches`: with any of them they are worth nothing.

    Raises `BenchRefused` where nothing can be measured.
    """
    started = time.monotonic()
    commit, is_changed = commit_of(BASE_DIR)
    results = Results(
        began_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        is_changed=is_changed,
        machine=this_machine(),
        versions=versions(),
        settings={},
    )
    say("Starting PostgreSQL and Valkey in a folder of their own ...")
    layout = settings.EMBEDDED_SERVERS
    if layout is None:
        raise BenchRefused("The bench measures servers of its own: leave DATABASE_URL unset.")
    with private_servers(layout) as servers:
        results.settings = _settings(options)
        number = PROVISIONED if options.wants("provisioning") else CAST_SIZE
        say(f"Making {number} tenants ...")
        tenants, seconds = provision([f"bench-{position:05}" for position in range(number)])
        results.provisioning.append(provisioning_of(seconds, existing=0))
        cast = Cast([equip(tenant) for tenant in tenants[:CAST_SIZE]])
        customers = list(cast.customers)
        _rule(cast)
        with set_stage(servers, cast) as stage:
            session = Session(stage=stage, cast=cast, options=options, results=results, say=say)
            _measure(session)
            if options.many_tenants > len(tenants):
                customers = grow(session, tenants)
                measure_many(session, customers)
            if options.wants("memory"):
                # What is left open then belongs to the api.
                shared_lanes().close()
                connections.close_all()
                role = settings.DATABASES["default"]["USER"]
                results.memory = memory_of(api=stage.api, postmaster=stage.postmaster, runtime_role=role)
            results.mismatches += stage.mismatches
        say("Auditing the books ...")
        verdict = audit_books(customers)
        results.audited_tenants, results.audited_entries = verdict.tenants, verdict.entries
        results.mismatches += verdict.mismatches
        if results.many is not None and options.wants("migration"):
            say("Migrating all tenants ...")
            results.many.migration = measure_migration(customers)
    results.seconds = round(time.monotonic() - started, 1)
    return results


def _rule(cast: Cast) -> None:
    """Put the rules in force that some of the cast are judged by."""
    rule_all(cast.ruled.tag, cast.ruled.account.slug)
    for limited, limit in ((cast.acme, QUIET_LIMIT), (cast.initech, FLOOD_LIMIT)):
        limit_rate(limited.tag, limited.account.slug, per_second=limit)


def _measure(session: Session) -> None:
    wants = session.options.wants
    warm_up(session)
    measure_rows(session)
    if wants("admit"):
        measure_admit(session)
    if wants("tools"):
        measure_answers(session)
    if wants("batch"):
        measure_batches(session)
    if wants("footprint"):
        measure_footprint(session)
    if wants("quiet"):
        measure_limited_neighbour(session)
        measure_neighbour(session)
        measure_new_tenants(session)


def _settings(options: Options) -> dict[str, str | int | float]:
    command = api_spec(var=settings.VAR_DIR, port=0).command
    api = {
        part.removeprefix("--").partition("=")[0]: part.partition("=")[2]
        for part in command
        if part.startswith(("--workers=", "--blocking-threads="))
    }
    return {
        "seconds": options.seconds,
        "repeat": options.repeat,
        "path_depth": len(SCOPE_SUFFIXES),
        "tenants_of_the_wide_runs": FIFTY,
        "api_workers": int(api["workers"]),
        "api_threads": int(api["blocking-threads"]),
        "api_lanes": LANES,
        "combiner_batch_max": BATCH_MAX,
        "combiner_calls_max": CALLS_MAX,
        "pgbench_clients_max": CLIENTS_MAX,
        "postgresql": server_setting("server_version"),
        **{name: server_setting(name) for name in _SERVER_SETTINGS},
    }

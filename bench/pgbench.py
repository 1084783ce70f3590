"""The same SQL function without HTTP, one operation a call: PostgreSQL's own load program."""

import json
import math
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from django.db import connections

from bench.customers import Customer
from bench.direct import OneConnection
from bench.errors import BenchRefused
from bench.figures import Figures, figures_of
from bench.operations import ID, KEY, TARGET, commit_operation, reserve_operation
from bench.traffic import Kind
from budgets.services.operations import Operation
from kernel.embedded.programs import postgres_program
from kernel.ids import schema_name

#: More wait for each other at the tenant's ledger head only, and each of them is a process of the server.
CLIENTS_MAX: Final = 64
WARM_SECONDS: Final = 1


def pgbench(
    kind: Kind, customers: Sequence[Customer], *, clients: int, seconds: float, warm_seconds: float = WARM_SECONDS
) -> Figures:
    """Run pgbench with `clients` connections as the runtime's role. A unit is one call, or two for a lifecycle.

    Each tenant is served by as few connections as the clients allow, as the api's lanes do: a backend plans a function
    anew for each tenant. Raises `BenchRefused` if pgbench fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        script = folder / "script.sql"
        script.write_text(pgbench_script(kind, customers, clients=clients))
        result = subprocess.run(
            [
                *(str(postgres_program("pgbench")), "--no-vacuum", "--protocol=prepared", f"--client={clients}"),
                *(f"--time={math.ceil(seconds + warm_seconds)}", f"--file={script}"),
                *("--log", f"--log-prefix={folder / 'log'}", _connection_string()),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise BenchRefused(f"pgbench failed: {(result.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        lines = [line.split() for path in folder.glob("log.*") for line in path.read_text().splitlines()]
    return _figures_of_log(lines, calls=1 if kind == "reserve" else 2, seconds=seconds, warm_seconds=warm_seconds)


def pgbench_script(kind: Kind, customers: Sequence[Customer], *, clients: int) -> str:
    """A client's transaction: choose a tenant of its own, then call its door."""
    number = len(customers)
    if clients >= number:
        choice = [f"\\set tenant :client_id % {number}"]
    else:
        choice = [
            f"\\set share ({number} - :client_id + {clients} - 1) / {clients}",
            f"\\set tenant :client_id + {clients} * random(0, :share - 1)",
        ]
    return "\n".join([*choice, *_branches(kind, customers, 0, number)]) + "\n"


def _branches(kind: Kind, customers: Sequence[Customer], first: int, end: int) -> Iterator[str]:
    if end - first == 1:
        yield from _statements(kind, customers[first])
        return
    middle = (first + end) // 2
    yield f"\\if :tenant < {middle}"
    yield from _branches(kind, customers, first, middle)
    yield "\\else"
    yield from _branches(kind, customers, middle, end)
    yield "\\endif"


def _statements(kind: Kind, customer: Customer) -> Iterator[str]:
    reserve = _call(customer, reserve_operation(customer), {str(ID): "uuidv7()", KEY: "gen_random_uuid()"})
    if kind == "reserve":
        yield f"{reserve};"
        return
    yield f"{reserve} \\gset"
    held = ":door_v1::json -> 0 ->> 'id'"
    commit = {str(ID): "uuidv7()", KEY: "gen_random_uuid()", str(TARGET): held}
    yield f"{_call(customer, commit_operation(customer), commit)};"


def _call(customer: Customer, operation: Operation, blanks: dict[str, str]) -> str:
    text = json.dumps([msgspec.to_builtins(operation)], separators=(",", ": "))
    # pgbench takes a colon before a word for a variable; those left stand inside of strings.
    text = re.sub(r":(?=\w)", r"\\u003a", text)
    for position, stand_in in enumerate(blanks, start=1):
        text = text.replace(stand_in, f"%{position}$s")
    arguments = ", ".join(blanks.values())
    return f"""SELECT "{schema_name(customer.tag)}".door_v1('apply', format('{text}', {arguments})::jsonb)"""


def _connection_string() -> str:
    """The runtime's login with the planner's settings of the hot path, without its time limits: a queue is measured."""
    with OneConnection() as direct:
        options = f"-c role=watermaster_app {direct.planner_options()}"
    given = connections["default"].get_connection_params()
    words = {name: given[name] for name in ("host", "port", "user", "password", "dbname") if given.get(name)}
    return " ".join(f"{name}='{value}'" for name, value in [*words.items(), ("options", options)])


def _figures_of_log(lines: Sequence[Sequence[str]], *, calls: int, seconds: float, warm_seconds: float) -> Figures:
    """The figures of pgbench's log: client, number, microseconds, script, second and microsecond of the end."""
    ended = [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1e6) for line in lines]
    counted_from = min(at - took for at, took in ended) + warm_seconds
    latencies_s = [took for at, took in ended if counted_from <= at < counted_from + seconds]
    return figures_of(latencies_s, seconds=seconds, accepted=len(ended) * calls)

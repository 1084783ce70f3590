"""``python -m bench.roles``: what a role for each tenant costs where every decision passes, and with how many roles.

Two tenants are called in turn on one connection, made as the api makes its own. The door of the one takes on the
tenant's role; that of the other one is the same without it. Then the server gets more roles, and the same is measured
again, together with what a session pays for them: the first role that it takes on, one of many, and the first one after
somebody was given a role.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import django

from kernel.embedded.layout import SUPERUSER

if TYPE_CHECKING:
    import psycopg

    from bench.customers import Customer

ROOT: Final = Path(__file__).resolve().parents[1]
#: The gate, for the call that decides.
DEARER_MAX: Final = 0.05
_ROLES_A_STATEMENT: Final = 500
_WARM_CALLS: Final = 50
_PROVISIONED: Final = 10
_OWNER: Final = "watermaster_owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one call takes, in microseconds: the round in the middle of those that were measured."""

    what: str
    plain_us: float
    with_role_us: float
    rounds: str

    @property
    def dearer(self) -> float:
        return self.with_role_us / self.plain_us - 1

    def __str__(self) -> str:
        return (
            f"  {self.what:44} {self.plain_us:8.1f} {self.with_role_us:8.1f} us  {self.dearer:+7.2%}  ({self.rounds})"
        )


def measure(*, counts: Sequence[int], rounds: int, calls: int) -> bool:
    """Print the figures; whether a decision is nowhere dearer than `DEARER_MAX`."""
    from bench.customers import equip, provision  # noqa: PLC0415  after the settings

    tenants, _ = provision(["bench-role", "bench-plain"])
    with_role, plain = (equip(tenant) for tenant in tenants)
    _take_role_away(plain)
    is_met = True
    made = 0
    for count in counts:
        _make_roles(made, count)
        made = count
        print(f"{count + 2:,} roles of tenants")
        _, seconds = provision([f"bench-{count:05}-{number}" for number in range(_PROVISIONED)])
        print(f"  a tenant is made in {median(seconds) * 1000:.0f} ms, its role included")
        print(_sessions(with_role), flush=True)
        for what, kind, size in (("one reserve", "reserve", 1), ("16 reserves", "reserve", 16), ("a key", "key", 1)):
            found = [_compare(with_role, plain, kind=kind, size=size, calls=calls) for _ in range(rounds)]
            seen = _line(f"{what}, as its caller sees it", [each[0] for each in found])
            worked = _line(f"{what}, work of the server", [each[1] for each in found])
            print(seen, worked, sep="\n", flush=True)
            is_met = is_met and (kind != "reserve" or worked.dearer <= DEARER_MAX)
    return is_met


def _line(what: str, found: Sequence[tuple[float, float]]) -> Compared:
    runs = sorted(found, key=lambda run: run[1] / run[0])
    low, middle, high = runs[0], runs[len(runs) // 2], runs[-1]
    rounds = f"rounds {low[1] / low[0] - 1:+.2%} to {high[1] / high[0] - 1:+.2%}"
    return Compared(what=what, plain_us=middle[0], with_role_us=middle[1], rounds=rounds)


def _compare(
    with_role: "Customer", plain: "Customer", *, kind: str, size: int, calls: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Microseconds of a call without and with a role: the median as the caller sees it, and the backend's own work.

    Each of the two has a connection; they take turns, and take turns in going first.
    """
    from bench.direct import OneConnection  # noqa: PLC0415  after the settings

    spent: tuple[list[float], list[float]] = ([], [])
    worked: list[int] = [0, 0]
    name = "apply" if kind == "reserve" else kind
    with OneConnection() as one, OneConnection() as other:
        backends = (one.backend().pid, other.backend().pid)
        for turn in range(calls + _WARM_CALLS):
            if turn == _WARM_CALLS:
                worked = [_work_ns(pid) for pid in backends]
            for which in (0, 1) if turn % 2 else (1, 0):
                customer, direct = (plain, with_role)[which], (one, other)[which]
                payload = _payload(customer, kind, size)
                started = time.perf_counter_ns()
                direct.call(customer.tag, name, payload)
                if turn >= _WARM_CALLS:
                    spent[which].append((time.perf_counter_ns() - started) / 1000)
        worked = [_work_ns(pid) - before for pid, before in zip(backends, worked, strict=True)]
    return (median(spent[0]), median(spent[1])), (worked[0] / calls / 1000, worked[1] / calls / 1000)


def _payload(customer: "Customer", kind: str, size: int) -> bytes:
    import msgspec  # noqa: PLC0415  as the rest, after the settings

    from bench.operations import reserve_batches  # noqa: PLC0415

    if kind == "reserve":
        return reserve_batches(customer)(size)
    return msgspec.json.encode({"key_id": customer.key_id, "digest": customer.digest})


def _work_ns(pid: int) -> int:
    """Nanoseconds that a process has been at work on a core: what others do meanwhile does not count."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _sessions(customer: "Customer") -> str:
    """What a session of the processes pays for the number of roles."""
    import psutil  # noqa: PLC0415  as the rest, after the settings

    from kernel.ids import schema_name  # noqa: PLC0415
    from kernel.lanes import _new_connection  # noqa: PLC0415
    from kernel.roles import tenant_role  # noqa: PLC0415

    role = tenant_role(schema_name(customer.tag))
    connects, firsts, later, anew, kilobytes = [], [], [], [], []
    for _ in range(5):
        started = time.perf_counter_ns()
        connection = _new_connection()
        connects.append(time.perf_counter_ns() - started)
        backend = psutil.Process(connection.info.backend_pid)
        before = backend.memory_full_info().uss
        firsts.append(_timed(connection, f'SET ROLE "{role}"'))
        kilobytes.append((backend.memory_full_info().uss - before) // 1000)
        for _ in range(100):
            connection.execute(b"SET ROLE watermaster_app")
            later.append(_timed(connection, f'SET ROLE "{role}"'))
        _run(_OWNER, f'GRANT watermaster_tenant TO "{role}" WITH INHERIT FALSE')
        _run(_OWNER, f'GRANT watermaster_tenant TO "{role}" WITH INHERIT TRUE')
        connection.execute(b"SET ROLE watermaster_app")
        anew.append(_timed(connection, f'SET ROLE "{role}"'))
        connection.close()
    return (
        f"  a session begins: {median(connects) / 1e6:.2f} ms; its first role {median(firsts) / 1e6:.2f} ms,"
        f" {median(kilobytes):,.0f} kB; a role later {median(later) / 1e3:.0f} us;"
        f" the first one after a new membership {median(anew) / 1e6:.2f} ms"
    )


def _timed(connection: "psycopg.Connection[tuple[bytes]]", statement: str) -> int:
    started = time.perf_counter_ns()
    connection.execute(statement.encode())
    return time.perf_counter_ns() - started


def _take_role_away(customer: "Customer") -> None:
    """Give the tenant the door and the grants that there were before there were roles."""
    from kernel.ids import schema_name  # noqa: PLC0415  after the settings
    from kernel.sql_files import read_sql  # noqa: PLC0415
    from tenants.services.roles import grants  # noqa: PLC0415

    role = "|| pg_catalog.set_config('role', 'watermaster_' || v_schema, true)"
    door = read_sql("budgets", "door_v1")
    assert role in door
    _run(
        _OWNER,
        f'SET search_path = "{schema_name(customer.tag)}"',
        door.replace(role, "").replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
        grants(),
    )


def _make_roles(made: int, wanted: int) -> None:
    """Roles of no schema, given to the processes and their owner as those of tenants are."""
    for first in range(made, wanted, _ROLES_A_STATEMENT):
        names = [f"watermaster_t_bench{number:05}" for number in range(first, min(first + _ROLES_A_STATEMENT, wanted))]
        # The owner would ask each time whether it may, which takes the longer the more there are.
        _run(
            SUPERUSER,
            *(
                f'CREATE ROLE "{name}"; GRANT "{name}" TO watermaster_app WITH INHERIT FALSE, SET TRUE;'
                f' GRANT "{name}" TO watermaster_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;'
                f' GRANT watermaster_tenant TO "{name}" WITH INHERIT TRUE, SET FALSE'
                for name in names
            ),
        )


def _run(user: str, *statements: str) -> None:
    import psycopg  # noqa: PLC0415  as the rest, after the settings
    from django.conf import settings  # noqa: PLC0415

    layout = settings.EMBEDDED_SERVERS
    assert layout is not None
    with psycopg.connect(layout.database_url(user=user)) as connection:
        connection.execute(";".join(statements).encode())


def main(arguments: list[str]) -> int:
    """0 where a decision is not dearer than it may be, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.roles", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 2_000, 10_000], help="Roles beside the two.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400, help="Calls of each tenant in a round.")
    options = parser.parse_args(arguments)
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {
        "WATERMASTER_VAR": os.environ.get("BENCH_ROLES_VAR") or str(ROOT / "var" / "bench-roles"),
        "WATERMASTER_PLANE": "console",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    django.setup()
    from bench.servers import private_servers  # noqa: PLC0415  after the settings
    from kernel.embedded import Layout  # noqa: PLC0415

    with private_servers(Layout(Path(os.environ["WATERMASTER_VAR"]))):
        return 0 if measure(counts=sorted(options.counts), rounds=options.rounds, calls=options.calls) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m bench.workers``: what the work behind the decisions costs here. `make bench-workers` calls it."""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import django
from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[1]
PARTS: Final = ("rollup", "tick", "expiry", "webhooks")


def main(arguments: list[str]) -> int:
    """0 where every target was met, 1 where one was missed or nothing could be measured."""
    options = _parser().parse_args(arguments)
    _prepare_django()
    # After the settings, which read the environment once.
    from bench.errors import BenchRefused  # noqa: PLC0415
    from bench.servers import private_servers  # noqa: PLC0415
    from bench.worker_expiry import measure_expiry  # noqa: PLC0415
    from bench.worker_rollups import measure_rollup  # noqa: PLC0415
    from bench.worker_ticks import measure_ticks  # noqa: PLC0415
    from kernel.embedded import EmbeddedServerError, Layout  # noqa: PLC0415

    lines = []
    try:
        with private_servers(Layout(Path(os.environ["WATERMASTER_VAR"]))) as servers:
            if "rollup" in options.only:
                lines += measure_rollup(entries=options.entries)
            if "tick" in options.only:
                lines += measure_ticks(tenants=options.tenants, active=options.active)
            if "expiry" in options.only:
                lines += measure_expiry(servers=servers, holds=options.holds, rate=options.rate)
    except (BenchRefused, EmbeddedServerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    table = Table(title="Work behind the decisions")
    for name in ("what", "measured", "target", ""):
        table.add_column(name)
    for line in lines:
        table.add_row(line.what, line.measured, line.target, line.verdict, style="red" if line.is_missed else "")
    Console(width=140).print(table)
    is_met = not any(line.is_missed for line in lines)
    return 0 if _webhooks(options.only) and is_met else 1


def _webhooks(only: frozenset[str]) -> bool:
    """Deliveries are measured by their own programme, with servers of its own."""
    if "webhooks" not in only or importlib.util.find_spec("bench.webhooks") is None:
        return True
    return subprocess.run([sys.executable, "-m", "bench.webhooks"], cwd=ROOT, check=False).returncode == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-workers", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, help="Ledger entries that are rolled up.")
    parser.add_argument("--tenants", type=int, default=10_000, help="Tenants that a tick looks at.")
    parser.add_argument("--active", type=int, default=100, help="Those of them with something to do.")
    parser.add_argument("--holds", type=int, default=100_000, help="Reservations whose time is over.")
    parser.add_argument("--rate", type=float, default=100.0, help="Decisions a second beside their expiry.")
    parser.add_argument("--only", type=_parts, default=frozenset(PARTS), help=f"Some of {','.join(PARTS)}.")
    return parser


def _parts(text: str) -> frozenset[str]:
    parts = frozenset(text.split(","))
    if unknown := parts - set(PARTS):
        raise argparse.ArgumentTypeError(f"There is no {', '.join(sorted(unknown))}.")
    return parts


def _prepare_django() -> None:
    """The product's settings over servers of the bench's own, whatever else is named in the environment."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {
        "WATERMASTER_VAR": os.environ.get("BENCH_WORKERS_VAR") or str(ROOT / "var" / "bench-workers"),
        "WATERMASTER_PLANE": "console",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    django.setup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

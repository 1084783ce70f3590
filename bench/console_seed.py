"""``python -m bench.console_seed``: a thousand tenants with ten million ledger entries, for measuring the console.

A few big tenants have half of the entries, some dozens most of the rest. Run again it completes what is missing.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import django
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ROOT: Final = Path(__file__).resolve().parents[1]
TENANTS: Final = 1_000
ENTRIES: Final = 10_000_000
_ZONES: Final = ("UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin")
#: Shares of the entries: of the big tenants, of those in the middle; the small ones share the rest.
_BIG, _BIG_SHARE = 4, 0.5
_MIDDLE, _MIDDLE_SHARE = 46, 0.3
#: Entries added by one step of a roll-up. Nobody decides meanwhile, so a step may be long.
_ROLL_UP_STEP: Final = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One tenant to be made, and how many entries it is to have."""

    number: int
    entries: int

    @property
    def slug(self) -> str:
        return f"tenant-{self.number:04}"

    @property
    def time_zone(self) -> str:
        return _ZONES[self.number % len(_ZONES)]


def plans(*, tenants: int, entries: int) -> list[Plan]:
    """The biggest first, so that no process is left alone with one at the end."""
    big = min(_BIG, tenants)
    middle = min(_MIDDLE, tenants - big)
    small = tenants - big - middle
    shares = [_BIG_SHARE / big] * big
    shares += [_MIDDLE_SHARE / middle] * middle if middle else []
    shares += [(1 - _BIG_SHARE - _MIDDLE_SHARE) / small] * small if small else []
    whole = sum(shares)
    return [Plan(number=number, entries=round(entries * share / whole)) for number, share in enumerate(shares, start=1)]


def prepare_django() -> None:
    """The product's settings over servers of the bench's own, whatever else is named in the environment."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ.setdefault("BENCH_CONSOLE_VAR", str(ROOT / "var" / "bench-console"))
    os.environ |= {
        "WATERMASTER_VAR": os.environ["BENCH_CONSOLE_VAR"],
        "WATERMASTER_PLANE": "console",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    django.setup()


@contextmanager
def servers() -> Iterator[None]:
    """The bench's own servers, migrated, with what was seeded before. Stopped at the end."""
    from django.core.management import call_command  # noqa: PLC0415  after the settings
    from django.db import connections  # noqa: PLC0415

    from kernel.embedded import Layout, Servers  # noqa: PLC0415
    from kernel.lanes import shared_lanes  # noqa: PLC0415

    held = Servers(Layout(Path(os.environ["WATERMASTER_VAR"]).resolve()))
    held.hold()
    try:
        call_command("migrate_all", verbosity=0)
        yield
    finally:
        shared_lanes().close()
        connections.close_all()
        held.release()


def make_tenant(plan: Plan, until: datetime) -> int:
    """The tenant with its books, rolled up and noted; the entries that it had to be given."""
    from bench.console_books import give_room, write_books  # noqa: PLC0415
    from budgets.services.lifecycle import create_tenant  # noqa: PLC0415
    from budgets.services.rollups import roll_up  # noqa: PLC0415
    from budgets.services.visits import visit_books  # noqa: PLC0415
    from tenants.selectors.directory import tenant_by_slug  # noqa: PLC0415
    from tenants.services.provisioning import NewTenant  # noqa: PLC0415

    line = tenant_by_slug(plan.slug)
    if line is None or not line.has_books:
        new = NewTenant(slug=plan.slug, name=f"Tenant {plan.number:,}", time_zone=plan.time_zone)
        tag = create_tenant(new, now=until).tag
    else:
        tag = line.tag
    written = write_books(tag=tag, slug=plan.slug, time_zone=plan.time_zone, entries=plan.entries, until=until)
    roll_up(tag=tag, has_time=lambda: True, step=_ROLL_UP_STEP)
    give_room(tag=tag, taken_percent=100 if plan.number % 100 == 0 else 20 + plan.number * 37 % 78)
    visit_books(tag=tag, has_time=lambda: True)
    return written


def seed(*, tenants: int, entries: int, processes: int) -> None:
    """Make what is missing, with a bar that says how far it is."""
    until = datetime.now(UTC)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress, ProcessPoolExecutor(processes, initializer=prepare_django) as pool:
        made = progress.add_task("Tenants", total=tenants)
        written = progress.add_task("Entries", total=entries)
        futures = {pool.submit(make_tenant, plan, until): plan for plan in plans(tenants=tenants, entries=entries)}
        for future in as_completed(futures):
            future.result()
            progress.advance(made)
            progress.advance(written, futures[future].entries)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenants", type=int, default=TENANTS, help=f"How many tenants ({TENANTS:,}).")
    parser.add_argument("--entries", type=int, default=ENTRIES, help=f"Ledger entries of all together ({ENTRIES:,}).")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="How many make tenants at once.")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console_seed", description=__doc__)
    add_options(parser)
    options = parser.parse_args(arguments)
    prepare_django()
    with servers():
        seed(tenants=options.tenants, entries=options.entries, processes=options.processes)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Following one tenant's books from the first entry, sealing them, and proving both."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from bench.console_books import write_books
from bench.customers import provision
from bench.errors import BenchRefused
from bench.worker_lines import Line, seconds_line
from budgets.services.rollups import roll_up
from budgets.services.rollups_proof import rollup_differences
from budgets.services.sealing import seal_closed
from budgets.services.seals_proof import broken_seals

ROLLED_UP_SECONDS_MAX: Final = 60


def measure_rollup(*, entries: int) -> list[Line]:
    """By one process, as one worker does it. Raises `BenchRefused` where the sums are not those of the books."""
    (tenant,), _ = provision(["bench-books"])
    zone = "Asia/Kolkata"
    made = write_books(tag=tenant.tag, slug=tenant.slug, time_zone=zone, entries=entries, until=datetime.now(UTC))
    rolled_up = _timed(lambda: roll_up(tag=tenant.tag, has_time=lambda: True))
    sealed = _timed(lambda: seal_closed(tag=tenant.tag, has_time=lambda: True))
    differences: list[object] = []
    proven = _timed(lambda: differences.extend([*rollup_differences(tenant.tag), *broken_seals(tenant.tag)]))
    if differences:
        raise BenchRefused(f"What was rolled up or sealed is not what is in the books: {differences[0]}")
    return [
        seconds_line(f"{made:,} entries rolled up", rolled_up, at_most=ROLLED_UP_SECONDS_MAX, number=made),
        Line(what=f"{made:,} entries sealed", measured=f"{sealed:,.1f} s ({made / sealed:,.0f}/s)"),
        Line(what="rollups and seals proven", measured=f"{proven:,.1f} s ({made / proven:,.0f}/s)"),
    ]


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun

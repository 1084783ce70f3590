"""The list prices that a process keeps: read by one thread, whoever else asks meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from kernel.tenancy import CELL
from routing.services.settling import _ListPrices

THREADS = 8


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("is_known", [False, True])
def test_are_read_by_one_thread_at_a_time(*, is_known: bool) -> None:
    prices = _ListPrices()
    if is_known:
        prices.get()
        prices.until = 0.0
    together = Barrier(THREADS)

    def ask(_: int) -> int:
        with CaptureQueriesContext(connections[CELL]) as queries:
            together.wait(timeout=10)
            prices.get()
        connections[CELL].close()
        return len(queries)

    with ThreadPoolExecutor(THREADS) as threads:
        counts = list(threads.map(ask, range(THREADS)))

    assert sum(count > 0 for count in counts) == 1

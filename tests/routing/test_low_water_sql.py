"""The low-water mark in SQL and in Python are the same comparisons."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.money import AMOUNT_MAX
from routing.services.low_water import Pool, is_degraded, projected_ppm

AMOUNTS = st.one_of(st.integers(1, 1_000), st.integers(1, AMOUNT_MAX // 2))
START = datetime(2026, 11, 1, tzinfo=UTC)
PERIOD = 30 * 86_400

pytestmark = pytest.mark.usefixtures("database")


def in_sql(*, was_low: bool, pool: Pool, elapsed: int | None) -> bool:
    starts = None if elapsed is None else START
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT public.is_low_v1(%s, %s, %s, '{}', %s, %s, %s)",
            [
                was_low,
                pool.allocated,
                pool.spent + pool.reserved,
                starts,
                START + timedelta(seconds=PERIOD),
                START + timedelta(seconds=elapsed or 0),
            ],
        )
        return bool(cursor.fetchone()[0])


@settings(max_examples=300)
@given(
    allocated=AMOUNTS,
    share=st.sampled_from([0, 1_000, 500_000, 749_999, 750_000, 750_001, 799_999, 800_000, 800_001, 1_000_000]),
    off=st.integers(-1, 1),
    reserved=st.integers(0, 3),
    was_low=st.booleans(),
    elapsed=st.sampled_from([None, 0, 86_399, 86_400, PERIOD // 2, PERIOD - 1]),
)
def test_says_the_same(
    *, allocated: int, share: int, off: int, reserved: int, was_low: bool, elapsed: int | None
) -> None:
    pool = Pool(allocated=allocated, spent=max(allocated * share // 10**6 + off, 0), reserved=reserved)
    projected = (
        projected_ppm(pool, elapsed_seconds=elapsed, period_seconds=PERIOD)
        if elapsed is not None and elapsed * 30 >= PERIOD
        else 0
    )

    assert in_sql(was_low=was_low, pool=pool, elapsed=elapsed) == is_degraded(
        was_degraded=was_low, pool=pool, projected=projected
    )

"""The part of an amount for what is left of a period, in whole units."""

from datetime import datetime, timedelta
from typing import Final

_MICROSECOND: Final = timedelta(microseconds=1)


def share_left(amount: int, *, starts_at: datetime | None, ends_at: datetime | None, at: datetime) -> int:
    """The part of `amount` for what is left of the period at `at`, rounded down; all of it without a period."""
    if starts_at is None or ends_at is None:
        return amount
    left, period = ends_at - min(max(at, starts_at), ends_at), ends_at - starts_at
    return amount * (left // _MICROSECOND) // (period // _MICROSECOND)

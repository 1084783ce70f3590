"""The last minutes of all processes together, in Valkey: for people who look now, with no monitoring system at hand.

One hash a minute, forgotten after `KEPT_SECONDS`. It may be lost, and then a page says less.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import redis

from kernel.metrics.catalogue import DECISION_SECONDS
from kernel.metrics.tally import quantile
from kernel.valkey import shared_valkey

MINUTES: Final = 5
KEPT_SECONDS: Final = 20 * 60
_KEY: Final = "metrics:recent:"
_BUCKET: Final = "b"
_REFUSED: Final = "r:"


@dataclass(frozen=True, slots=True)
class Recent:
    """The last `minutes` and what is gone of this one. The two quantiles are in seconds, None where nothing was asked.

    `refused` has the most frequent reason first.
    """

    minutes: int
    decisions: int
    p50_s: float | None
    p99_s: float | None
    refused: tuple[tuple[str, int], ...]


class RecentNotes:
    """What one process has seen and not yet handed on. For one thread."""

    __slots__ = ("_fields", "has_noted")

    def __init__(self) -> None:
        self._fields: Counter[str] = Counter()
        #: Whether anything ever was.
        self.has_noted = False

    def note_times(self, line: Sequence[float]) -> None:
        """How long some took: the counts of `DECISION_SECONDS`, and behind them a sum that is not kept."""
        self.has_noted = True
        for place, count in enumerate(line[:-1]):
            if count:
                self._fields[f"{_BUCKET}{place}"] += int(count)

    def note_refused(self, reason: str, count: int) -> None:
        """So many were refused for it; nothing where it is empty."""
        if reason:
            self._fields[f"{_REFUSED}{reason}"] += count

    def hand_on(self) -> None:
        """Add them to this minute. What Valkey does not take is not missed."""
        fields, self._fields = self._fields, Counter()
        if not fields:
            return
        key = f"{_KEY}{int(time.time()) // 60}"
        try:
            with shared_valkey().pipeline(transaction=False) as writing:
                for name, count in fields.items():
                    writing.hincrby(key, name, count)
                writing.expire(key, KEPT_SECONDS)
                writing.execute()
        except redis.RedisError:
            return


def recent_decisions(*, now_s: float, minutes: int = MINUTES) -> Recent | None:
    """None while Valkey is away. `now_s` is since the epoch."""
    this = int(now_s) // 60
    try:
        with shared_valkey().pipeline(transaction=False) as reading:
            for minute in range(this - minutes, this + 1):
                reading.hgetall(f"{_KEY}{minute}")
            found = cast("list[dict[bytes, bytes]]", reading.execute())
    except redis.RedisError:
        return None
    counts = [0.0] * (len(DECISION_SECONDS.bounds) + 2)
    refused: Counter[str] = Counter()
    for fields in found:
        for raw, count in fields.items():
            name = raw.decode()
            if name.startswith(_REFUSED):
                refused[name.removeprefix(_REFUSED)] += int(count)
            # Another release may count by more bounds.
            elif (place := int(name.removeprefix(_BUCKET))) < len(counts) - 1:
                counts[place] += int(count)
    return Recent(
        minutes=minutes,
        decisions=int(sum(counts)),
        p50_s=quantile(DECISION_SECONDS, counts, 0.5),
        p99_s=quantile(DECISION_SECONDS, counts, 0.99),
        refused=tuple(refused.most_common()),
    )

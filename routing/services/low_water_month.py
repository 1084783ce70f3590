"""A month of simulated traffic on one budget, without the low-water mark and with it. The same seed, the same month."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from budgets.services.rule_parts import Priority
from routing.services.low_water import Pool, Serving, is_degraded, projected_ppm, serving

DAYS: Final = 30
HOURS: Final = DAYS * 24
_HOUR_SECONDS: Final = 3600
#: Calls in the busiest hour of a working day.
_PEAK_CALLS: Final = 160
#: The hours of a day in UTC, in percent of the busiest: people work from eight to six.
_DAY: Final = (14, 11, 9, 8, 8, 10, 18, 38, 72, 92, 100, 98, 84, 90, 98, 95, 86, 70, 52, 42, 36, 30, 24, 18)
#: The month begins on a Sunday, as November 2026 does.
_WEEK: Final = (45, 100, 100, 100, 100, 90, 50)
#: Of a hundred calls.
_PRIORITIES: Final = {Priority.HIGH: 8, Priority.NORMAL: 62, Priority.LOW: 30}
#: A call on the large model, in USD_MICROCENTS: from this on, with a long tail.
_COST_MIN: Final = 400_000
_COST_TAIL: Final = 1_100_000
#: What the compact model with its smaller context costs of that, in parts per million.
_COMPACT_PPM: Final = 45_000
_PPM: Final = 10**6
#: The budget of the month, $380.20: a good half of what its traffic would cost on the large model.
ALLOCATED: Final = 38_020 * 10**6
#: Before, a forecast says more about the hour than about the month.
_FORECAST_FROM_HOUR: Final = 24


class Policy(StrEnum):
    """WITHOUT: first come, first served. MARK: the share that is left. FORECAST: and where the month is heading."""

    WITHOUT = "without"
    MARK = "mark"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Call:
    """`cost` is on the large model, in USD_MICROCENTS."""

    hour: int
    priority: Priority
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What became of the calls. `died_at_hour` is when the first call found no money left, None if none did.

    `entered` and `left` count how often the pool became degraded and recovered.
    """

    policy: Policy
    calls: dict[Priority, int]
    served: dict[Priority, int]
    on_large: dict[Priority, int]
    spent: int
    allocated: int
    died_at_hour: int | None
    entered: int
    left: int


def traffic(seed: int) -> Iterator[Call]:
    """The calls of the month in order, the same on every machine."""
    chance = random.Random(seed)  # noqa: S311  # traffic, not secrets
    priorities, weights = list(_PRIORITIES), list(_PRIORITIES.values())
    for hour in range(HOURS):
        expected = _PEAK_CALLS * _DAY[hour % 24] * _WEEK[hour // 24 % 7]
        for _ in range(chance.randint(expected * 8, expected * 12) // 100_000):
            priority = chance.choices(priorities, weights)[0]
            # The least of three: most calls are cheap, some are not.
            tail = min(chance.randrange(_COST_TAIL * 4) for _ in range(3))
            yield Call(hour, priority, _COST_MIN + tail)


def simulate(seed: int, policy: Policy, *, allocated: int = ALLOCATED) -> Month:
    """The month of `seed` under a policy."""
    run = _Run(policy, allocated)
    for call in traffic(seed):
        run.take(call)
    return Month(
        policy=policy,
        calls=dict(run.calls),
        served=dict(run.served),
        on_large=dict(run.on_large),
        spent=run.spent,
        allocated=allocated,
        died_at_hour=run.died_at_hour,
        entered=run.entered,
        left=run.left,
    )


class _Run:
    """The month under way."""

    def __init__(self, policy: Policy, allocated: int) -> None:
        self.calls: Counter[Priority] = Counter()
        self.served: Counter[Priority] = Counter()
        self.on_large: Counter[Priority] = Counter()
        self.spent = self.entered = self.left = 0
        self.died_at_hour: int | None = None
        self._policy, self._allocated = policy, allocated
        self._degraded, self._projected, self._hour = False, 0, -1

    def take(self, call: Call) -> None:
        self.calls[call.priority] += 1
        pool = Pool(allocated=self._allocated, spent=self.spent)
        how = self._judge(call, pool)
        if how == Serving.REFUSED:
            return
        cost = call.cost if how == Serving.OWN_MODEL else call.cost * _COMPACT_PPM // _PPM
        if cost > pool.left:
            if self.died_at_hour is None:
                self.died_at_hour = call.hour
            return
        self.spent += cost
        self.served[call.priority] += 1
        self.on_large[call.priority] += how == Serving.OWN_MODEL

    def _judge(self, call: Call, pool: Pool) -> Serving:
        if self._policy == Policy.WITHOUT:
            return Serving.OWN_MODEL
        if call.hour != self._hour:
            self._hour = call.hour
            self._projected = self._project(pool)
        was = self._degraded
        self._degraded = is_degraded(was_degraded=was, pool=pool, projected=self._projected)
        self.entered += self._degraded and not was
        self.left += was and not self._degraded
        return serving(priority=call.priority, pool=pool, degraded=self._degraded)

    def _project(self, pool: Pool) -> int:
        """The forecast, made every hour from the second day on."""
        if self._policy != Policy.FORECAST or self._hour < _FORECAST_FROM_HOUR:
            return 0
        return projected_ppm(pool, elapsed_seconds=self._hour * _HOUR_SECONDS, period_seconds=HOURS * _HOUR_SECONDS)

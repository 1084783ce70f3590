"""A budget for regressions: may the candidate replace the baseline, as far as latency and cost go?

Compares the 95th percentiles. It refuses only when the data leave little doubt: when even the lower bound of the
ratio's 95 % interval is above the budget.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from watermaster_client.turns import Turns

TURNS_MIN: Final = 1_000
REPLICATES: Final = 10_000
METRICS: Final = ("latency_ms", "cost")
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One metric compared. `ratio` is candidate over baseline, `low` and `high` bound its 95 % interval."""

    metric: str
    baseline_p95: float
    candidate_p95: float
    ratio: float
    low: float
    high: float
    budget: float

    @property
    def is_over(self) -> bool:
        return self.low > self.budget


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRatio:
    """One traffic class in both files, to see where a change comes from; it decides nothing."""

    traffic_class: str
    metric: str
    baseline_p95: float
    candidate_p95: float
    turns: tuple[int, int]


def judge(baseline: Turns, candidate: Turns, *, budgets: dict[str, float], seed: int) -> list[Verdict]:
    """A verdict for each metric of `budgets`; the same seed and files give the same."""
    return [
        _verdict(metric, baseline.of(metric), candidate.of(metric), budget=limit, rng=random.Random(f"{seed}/{metric}"))
        for metric, limit in budgets.items()
    ]


def by_class(baseline: Turns, candidate: Turns) -> list[ClassRatio]:
    """Each class that both files name, with both metrics."""
    return [
        ClassRatio(
            traffic_class=name,
            metric=metric,
            baseline_p95=p95(before := baseline.of(metric, traffic_class=name)),
            candidate_p95=p95(after := candidate.of(metric, traffic_class=name)),
            turns=(len(before), len(after)),
        )
        for name in sorted((set(baseline.classes) & set(candidate.classes)) - {""})
        for metric in METRICS
    ]


def _verdict(
    metric: str, baseline: Sequence[float], candidate: Sequence[float], *, budget: float, rng: random.Random
) -> Verdict:
    before, after = _resampled(baseline, rng), _resampled(candidate, rng)
    ratios = sorted(ratio(b, a) for b, a in zip(before, after, strict=True))
    tail = (1 - _CONFIDENCE) / 2
    return Verdict(
        metric=metric,
        baseline_p95=p95(baseline),
        candidate_p95=p95(candidate),
        ratio=ratio(p95(baseline), p95(candidate)),
        low=ratios[math.floor(tail * REPLICATES)],
        high=ratios[math.ceil((1 - tail) * REPLICATES) - 1],
        budget=budget,
    )


def p95(ordered: Sequence[float]) -> float:
    """The smallest number that 95 % of them do not exceed (nearest rank)."""
    return ordered[_rank(len(ordered)) - 1]


def ratio(before: float, after: float) -> float:
    """Nothing against nothing is no change; something against nothing is without bound."""
    if before == 0:
        return 1.0 if after == 0 else math.inf
    return after / before


def _resampled(ordered: Sequence[float], rng: random.Random) -> Iterator[float]:
    """The 95th percentiles of bootstrap samples, without drawing the samples.

    The k-th smallest of n draws with replacement is the element at floor(n U), where U, the k-th smallest of n
    uniform numbers, has the distribution Beta(k, n + 1 - k): one draw does the work of n.
    """
    n = len(ordered)
    k = _rank(n)
    for _ in range(REPLICATES):
        yield ordered[min(n - 1, int(n * rng.betavariate(k, n + 1 - k)))]


def _rank(n: int) -> int:
    # In whole numbers, for 0.95 is no binary fraction and a ceiling would show it.
    return -(-n * 95 // 100)

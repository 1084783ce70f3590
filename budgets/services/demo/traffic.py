"""A day of calls for a demo tenant, made from a seed: the same seed gives the same calls in the same order.

Only order, amounts and outcomes are made up. Everything is played through the engine, so every number on every page is
one that the engine has decided, at the time at which it decided it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from budgets.models.choices import OveragePolicy
from budgets.services.demo.cast import CENT, DemoTenant, Workload

#: How a call ends: with its cost, given back, booked as an event without a hold, left lying, or still under way.
Ending = Literal["commit", "release", "event", "abandon", "in flight"]

HOURS: Final = 24
#: Calls an hour of the tenant's day, as weights: quiet at night, two peaks, a dip at noon.
_SHAPE: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 19, 12, 14, 18, 20, 19, 15, 10, 7, 5, 3, 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an agent. Amounts in USD_MICROCENTS; `actual` counts where it ends with a cost."""

    key: str
    subject: dict[str, Any]
    suffixes: tuple[str, ...]
    run: str
    template: str
    action: dict[str, str]
    estimate: int
    actual: int
    ending: Ending
    policy: OveragePolicy


def day_of_calls(tenant: DemoTenant, *, seed: int, day: str) -> Iterator[Call]:
    """The tenant's calls of one day in the order in which they come. `day` makes idempotency keys and runs its own."""
    dice = random.Random(f"{seed}/{tenant.slug}")  # noqa: S311  nothing here is secret, and it must repeat itself
    planned: list[tuple[float, int, Workload, str]] = []
    for workload in tenant.workloads:
        for number in range(workload.calls):
            run = f"{workload.agent}-{day}-{number // workload.calls_a_run + 1:03}"
            planned.append((_hour(dice), len(planned), workload, run))
    # There to be found: one that nobody settles, and two that take long. The first ones, for they are let through.
    endings: dict[int, Ending] = {0: "abandon", 1: "in flight", 2: "in flight"}
    for position, (_, _, workload, run) in enumerate(sorted(planned)):
        estimate = _around(dice, workload.cost, 0.35)
        ending = endings.get(position) or _ending(dice)
        yield Call(
            key=f"demo-{seed}-{day}-{position:04}",
            subject={
                "tenant": tenant.slug,
                "workspace": workload.workspace,
                "agent": workload.agent,
                "dimensions": {"run": run, "run_template": workload.template},
            },
            suffixes=(
                "",
                f"/workspace:{workload.workspace}",
                f"/workspace:{workload.workspace}/agent:{workload.agent}",
            ),
            run=run,
            template=workload.template,
            action={"kind": "llm.completion", "name": workload.model},
            estimate=estimate,
            # Mostly below the estimate, now and then above it.
            actual=_around(dice, estimate * 9 // 10, 0.12),
            ending=ending,
            policy=workload.policy,
        )


def suffixes(workspace: str, agent: str) -> tuple[str, ...]:
    """The scopes of an agent below its tenant, root first."""
    return "", f"/workspace:{workspace}", f"/workspace:{workspace}/agent:{agent}"


def _hour(dice: random.Random) -> float:
    return dice.choices(range(HOURS), weights=_SHAPE)[0] + dice.random()


def _around(dice: random.Random, amount: int, spread: float) -> int:
    """An amount about `amount`, in hundredths of a cent."""
    step = CENT // 100
    return max(round(amount * dice.lognormvariate(0, spread)) // step, 1) * step


def _ending(dice: random.Random) -> Ending:
    share = dice.random()
    if share < 0.05:
        return "release"
    return "event" if share < 0.09 else "commit"

"""In which order several workers take the tests, so that none is left with a long one at the end.

xdist's `worksteal` deals the tests out once, in equal parts of the list, and moves what a slow worker has not begun.
So each part begins with slow tests, about as many seconds in each, and those of a module stay together: what they
share is set up once.
"""

import os
from collections import defaultdict

import pytest

#: What a test takes that says `slow` and no number.
SLOW_SECONDS = 5.0


def seconds_of(item: pytest.Item) -> float:
    """About how long a test takes that says so with `slow`; 0 for all others."""
    marker = item.get_closest_marker("slow")
    return 0.0 if marker is None else float(marker.args[0] if marker.args else SLOW_SECONDS)


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests in the order of the parts that `worksteal` makes of them, each part's slow ones first."""
    modules: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if seconds_of(item):
            modules[item.nodeid.partition("::")[0]].append(item)
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    weights = [0.0] * workers
    for module in sorted(modules.values(), key=lambda module: -sum(map(seconds_of, module))):
        lightest = weights.index(min(weights))
        hands[lightest] += module
        weights[lightest] += sum(map(seconds_of, module))
    light = iter([item for item in items if not seconds_of(item)])
    left = len(items)
    for number, hand in enumerate(hands):
        size = left // (workers - number)
        hand += [item for item, _ in zip(light, range(size - len(hand)), strict=False)]
        left -= len(hand)
    # More slow ones than a part can hold: what is left goes to the end.
    return [*(item for hand in hands for item in hand), *light]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = dealt(items, workers)

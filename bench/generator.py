"""The load as a process of its own, so that what it costs can be told apart: an order on standard input, figures on
standard output.

Kept lean on purpose: neither Django nor msgspec is imported here.
"""

import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from bench import load, pacing
from bench.figures import Figures
from bench.traffic import Account, Traffic, script_maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send: `seconds` count, `warm_seconds` before them do not.

    On a tour each client visits each account once. With a `rate`, so many units a second begin over all connections,
    else as many as are answered; a tour has no rate.
    """

    port: int
    connections: int
    kind: Traffic
    accounts: Sequence[Account]
    seconds: float
    warm_seconds: float = 0.5
    is_tour: bool = False
    rate: float | None = None


def main() -> None:
    content = json.load(sys.stdin)
    order = Order(**content | {"accounts": [Account(**account) for account in content["accounts"]]})
    # Nothing here makes cycles, and a collection would be taken for a slow answer.
    gc.disable()
    figures = carry_out(order)
    print("figures", json.dumps(asdict(figures)), flush=True)


def carry_out(order: Order) -> Figures:
    """Do what the order says, telling of the counted seconds on standard output."""
    drive = load.run if order.rate is None else partial(pacing.run, rate=order.rate)
    return drive(
        port=order.port,
        connections=order.connections,
        seconds=order.seconds,
        warm_seconds=order.warm_seconds,
        script=script_maker(order.kind, order.accounts, is_tour=order.is_tour),
        on_window=lambda word: print(word, flush=True),
    )


if __name__ == "__main__":
    main()

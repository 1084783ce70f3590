"""The load as a process of its own, so that what it costs can be told apart: an order on standard input, figures on
standard output.

Kept lean on purpose: neither Django nor msgspec is imported here.
"""

import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import load
from bench.traffic import Account, Kind, script_maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send: `seconds` count, `warm_seconds` before them do not.

    On a tour each client visits each account once.
    """

    port: int
    connections: int
    kind: Kind
    accounts: Sequence[Account]
    seconds: float
    warm_seconds: float = 0.5
    is_tour: bool = False


def main() -> None:
    content = json.load(sys.stdin)
    order = Order(**content | {"accounts": [Account(**account) for account in content["accounts"]]})
    # Nothing here makes cycles, and a collection would be taken for a slow answer.
    gc.disable()
    figures = load.run(
        port=order.port,
        connections=order.connections,
        seconds=order.seconds,
        warm_seconds=order.warm_seconds,
        script=script_maker(order.kind, order.accounts, is_tour=order.is_tour),
        on_window=lambda word: print(word, flush=True),
    )
    print("figures", json.dumps(asdict(figures)), flush=True)


if __name__ == "__main__":
    main()

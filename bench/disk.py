"""How fast the disk is just now: every answer waits for one of its writes."""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.figures import quantile_ms

_WRITES: Final = 20
_BYTES: Final = 8192


def sync_p50_ms(folder: Path) -> float:
    """The median of some small writes that are made durable one after the other, as commits are."""
    seconds = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_WRITES):
            os.write(file.fileno(), bytes(_BYTES))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return quantile_ms(sorted(seconds), 0.5)

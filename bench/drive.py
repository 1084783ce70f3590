"""The load seen from outside: started, watched, ended."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import psutil

from bench.errors import BenchRefused
from bench.figures import Figures
from bench.generator import Order

#: A run that leaves the machine with less free memory is ended: what comes next would end somebody else's work.
FREE_BYTES_MIN: Final = 2_000_000_000
_ROOT: Final = Path(__file__).resolve().parents[1]


class MemoryRanOut(BenchRefused):
    """The run was ended for want of memory."""

    def __init__(self) -> None:
        super().__init__(f"ended with less than {FREE_BYTES_MIN / 1e9:g} GB of memory free on the machine.")


class Generator:
    """A load under way, in a process of its own."""

    def __init__(self, order: Order) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.generator"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A terminal's Ctrl-C is for us; we end the load.
            start_new_session=True,
        )
        self._is_over = threading.Event()
        self._ran_out = False
        threading.Thread(target=self._watch_memory, name="memory-watch", daemon=True).start()
        assert self._process.stdin is not None
        json.dump(asdict(order), self._process.stdin)
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, word: str) -> None:
        """Wait for "begin" or "end" of the counted seconds. Raises as `figures` does."""
        self._line(word)

    def figures(self) -> Figures:
        """The figures, when it is over. Raises `MemoryRanOut`, or `BenchRefused` if it failed."""
        figures = Figures(**json.loads(self._line("figures")))
        self._process.wait()
        return figures

    def end(self) -> None:
        """Stop it if it still runs. Safe to repeat."""
        self._is_over.set()
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()

    def _line(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, _, rest = line.rstrip("\n").partition(" ")
            if name == word:
                return rest
        if self._ran_out:
            raise MemoryRanOut
        raise BenchRefused("The load ended early; it has said why above.")

    def _watch_memory(self) -> None:
        while not self._is_over.wait(0.5):
            if psutil.virtual_memory().available < FREE_BYTES_MIN:
                self._ran_out = True
                self._process.terminate()
                return


def drive(order: Order, *, on_window: Callable[[str, int], None] = lambda _name, _pid: None) -> Figures:
    """Run an order to its end. Raises as `Generator` does.

    `on_window` is told "begin" and "end" of the counted seconds, with the load's process id.
    """
    generator = Generator(order)
    try:
        for word in ("begin", "end"):
            generator.wait_for(word)
            on_window(word, generator.pid)
        return generator.figures()
    finally:
        generator.end()

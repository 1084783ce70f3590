"""The processes of one component show each other what they counted: one file a process, replaced as a whole.

Whichever of them is asked for metrics adds all files up. The file of a process that has ended stays, for what it
counted has happened; when none of a component's processes lives any more, the next one begins with an empty folder,
which a monitoring system understands as a restart.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec
import psutil

from kernel.metrics.catalogue import METRICS, Kind
from kernel.metrics.tally import Numbers, Series, added_up

_SUFFIX: Final = ".json"


class _Line(msgspec.Struct, array_like=True):
    name: str
    labels: tuple[str, ...]
    numbers: list[float]


_DECODER: Final = msgspec.json.Decoder(list[_Line])


class Snapshots:
    """A component's folder, with the file of this process in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / f"{os.getpid()}-{_started_ms(os.getpid())}{_SUFFIX}"
        self._written: bytes | None = None

    def write(self, numbers: dict[Series, Numbers]) -> None:
        """Replace this process's file. Raises `OSError` where the folder cannot be written."""
        content = msgspec.json.encode([_Line(name, labels, line) for (name, labels), line in numbers.items()])
        if content == self._written:
            return
        if self._written is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._forget_the_dead()
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(self._path)
        self._written = content

    def read(self) -> dict[Series, Numbers]:
        """All processes of the component added up, those that have ended with their gauges left out."""
        return added_up(
            {
                (line.name, line.labels): line.numbers
                for line in _lines(path)
                if (metric := METRICS.get(line.name)) is not None and (metric.kind != Kind.GAUGE or _is_alive(path))
            }
            for path in self.folder.glob(f"*{_SUFFIX}")
        )

    def _forget_the_dead(self) -> None:
        paths = list(self.folder.glob(f"*{_SUFFIX}"))
        if not any(_is_alive(path) for path in paths):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def _lines(path: Path) -> list[_Line]:
    try:
        return _DECODER.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return []


def _is_alive(path: Path) -> bool:
    """Whether the process that wrote the file lives: its number alone may be another's by now."""
    process, _, started_ms = path.stem.partition("-")
    return process.isdigit() and started_ms == str(_started_ms(int(process)))


def _started_ms(process: int) -> int:
    try:
        return int(psutil.Process(process).create_time() * 1000)
    except psutil.Error:
        return 0

"""Turns of an agent as a file of JSON lines: `{"latency_ms": 812, "cost": 0.0031, "class": "easy"}`."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BadTurns(Exception):
    """A file that cannot be read as turns; the text names the file and the line."""


@dataclass(frozen=True, slots=True)
class Turns:
    """What was measured, in the order of the file; `classes` is parallel to both, empty where a line names none."""

    latency_ms: list[float]
    cost: list[float]
    classes: list[str]

    def of(self, metric: str, *, traffic_class: str | None = None) -> list[float]:
        """The numbers of one metric, sorted."""
        numbers: list[float] = getattr(self, metric)
        if traffic_class is not None:
            numbers = [n for n, name in zip(numbers, self.classes, strict=True) if name == traffic_class]
        return sorted(numbers)

    def __len__(self) -> int:
        return len(self.cost)


def read_turns(path: Path) -> Turns:
    """The turns of a file. Raises `BadTurns`."""
    turns = Turns([], [], [])
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            turn = json.loads(line)
        except ValueError as error:
            raise BadTurns(f"{where}: this line is no JSON.") from error
        if not isinstance(turn, dict):
            raise BadTurns(f'{where}: a turn is an object like {{"latency_ms": 812, "cost": 0.0031}}.')
        turns.latency_ms.append(_number(turn, "latency_ms", where))
        turns.cost.append(_number(turn, "cost", where))
        name = turn.get("class", "")
        if not isinstance(name, str):
            raise BadTurns(f"{where}: class must be a string.")
        turns.classes.append(name)
    if not turns.cost:
        raise BadTurns(f"{path}: there are no turns in this file.")
    return turns


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    except UnicodeDecodeError as error:
        raise BadTurns(f"{path}: this file is no UTF-8 text.") from error
    except OSError as error:
        raise BadTurns(f"{path}: this file cannot be read: {error.strerror}.") from error


def _number(turn: dict[str, Any], name: str, where: str) -> float:
    value = turn.get(name)
    # True is an int to Python, and json reads NaN and Infinity.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise BadTurns(f"{where}: {name} must be a number from 0 up.")
    return float(value)

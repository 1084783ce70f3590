"""Who used the processor while something was measured. The load, the api and PostgreSQL share the machine."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import median

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuShares:
    """Cores that were busy, on average. `other` is all the rest of the machine: far from 0 the run was disturbed."""

    load: float = 0.0
    api: float = 0.0
    postgres: float = 0.0
    other: float = 0.0


@dataclass(slots=True)
class CpuMeter:
    """Measures from `begin` to `end`, trees of processes by the name of their share."""

    trees: Mapping[str, psutil.Process]
    _before: dict[str, float] = field(default_factory=dict)
    _busy_before: float = 0.0
    _began: float = 0.0
    _load: psutil.Process | None = None

    def begin(self, load_pid: int) -> None:
        self._load = psutil.Process(load_pid)
        self._before = self._seconds()
        self._busy_before = _machine_seconds()
        self._began = time.monotonic()

    def end(self) -> CpuShares:
        elapsed = time.monotonic() - self._began
        busy = _machine_seconds() - self._busy_before
        after = self._seconds()
        used = {name: (after[name] - self._before[name]) / elapsed for name in after}
        other = busy / elapsed - sum(used.values())
        return CpuShares(**{name: round(cores, 2) for name, cores in used.items()}, other=round(max(0.0, other), 2))

    def _seconds(self) -> dict[str, float]:
        trees = dict(self.trees)
        if self._load is not None:
            trees["load"] = self._load
        return {name: tree_seconds(root) for name, root in trees.items()}


def tree_seconds(root: psutil.Process) -> float:
    """Seconds of processor time of a process, its living descendants, and the dead ones they waited for."""
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0))


def median_shares(runs: Sequence[CpuShares]) -> CpuShares:
    return CpuShares(
        **{each.name: round(median(getattr(run, each.name) for run in runs), 2) for each in fields(CpuShares)}
    )

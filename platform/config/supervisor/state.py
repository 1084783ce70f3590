"""What `make down` and a second `make up` need to know about a running supervisor."""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from config.supervisor.errors import StartRefused


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id together with its birth, so that a reused id is never taken for ours."""

    name: str
    pid: int
    created_at_s: float

    def process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            is_ours = abs(process.create_time() - self.created_at_s) < 1
            return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@dataclass(frozen=True, slots=True)
class State:
    supervisor: ProcessIdentity
    api_port: int
    console_port: int
    processes: tuple[ProcessIdentity, ...]


class StateFile:
    def __init__(self, var: Path) -> None:
        self._path = var / "supervisor.json"
        self._lock_path = var / "supervisor.lock"
        self._lock: int | None = None

    def claim(self) -> None:
        """Be the only supervisor of this folder until this process ends; raises `StartRefused`.

        The kernel holds the lock, so that a killed supervisor leaves none behind.
        """
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise StartRefused("Watermaster already runs from this folder: make down ends it.") from error
        self._lock = lock

    def is_claimed(self) -> bool:
        """Whether a supervisor lives."""
        if not self._lock_path.exists():
            return False
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def write(self, state: State) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self._path)

    def read(self) -> State | None:
        """The last state written; ``None`` if there is none or it cannot be read."""
        try:
            content = json.loads(self._path.read_text())
            return State(
                supervisor=ProcessIdentity(**content["supervisor"]),
                api_port=content["api_port"],
                console_port=content["console_port"],
                processes=tuple(ProcessIdentity(**process) for process in content["processes"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def end_processes(identities: Sequence[ProcessIdentity], *, patience_s: float) -> int:
    """End what is left of a supervisor that was killed, with everything it started; returns how many."""
    found = [process for identity in identities if (process := identity.process())]
    family = [*found, *(child for process in found for child in process.children(recursive=True))]
    for process in found:
        _signal(process, force=False)
    _, stubborn = psutil.wait_procs(family, timeout=patience_s)
    for process in stubborn:
        _signal(process, force=True)
    psutil.wait_procs(stubborn, timeout=5)
    return len(found)


def _signal(process: psutil.Process, *, force: bool) -> None:
    try:
        if force:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        pass

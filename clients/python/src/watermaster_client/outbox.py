"""Settles that the server has not taken yet, on disk: an append-only file of JSON lines that outlives the process.

Any number of threads and processes may share a folder. A record is on the disk before `put` returns; it leaves the
outbox when the server took it, or for `refused.jsonl` with the server's reason. Sending a record twice is safe,
because it carries its idempotency key.
"""

import errno
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from io import BufferedRandom
from pathlib import Path
from typing import Any, Final

import msgspec

from watermaster_client.errors import ApiError, Failure
from watermaster_client.file_lock import locked

logger = logging.getLogger(__name__)

#: About 100,000 settles. A server that is away for longer than that needs a person.
BYTES_MAX: Final = 64 * 1024 * 1024


class Record(msgspec.Struct, frozen=True):
    """One settle that waits: the request as it is sent."""

    reservation_id: str
    path: str
    body: dict[str, Any]
    queued_at: str = ""


class Taken(msgspec.Struct, frozen=True):
    """The mark that a record of this file is dealt with."""

    taken: str


class Refused(msgspec.Struct, frozen=True):
    """A record that the server will never take, and why."""

    record: Record
    refused_at: str
    status: int
    error: str
    message: str
    request_id: str


def default_folder(*, base_url: str, api_key: str) -> Path:
    """One folder for each server and tenant, below the user's folder for state. The key itself is not in its name.

    Keys of Watermaster name their tenant by a tag, so a rotated key finds what the one before left.
    """
    parts = api_key.split("_")
    principal = parts[2] if len(parts) > 4 and parts[0] == "wm" else api_key  # wm_live_<tag>_<id>_<secret>_<check>
    name = hashlib.sha256(f"{base_url}\n{principal}".encode()).hexdigest()[:20]
    return _state_folder() / "watermaster" / "outbox" / name


def _state_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


class Outbox:
    """The settles that wait in one folder."""

    def __init__(self, folder: Path, *, bytes_max: int = BYTES_MAX) -> None:
        self.folder = folder
        self._waiting = folder / "waiting.jsonl"
        self.refused_path = folder / "refused.jsonl"
        self._bytes_max = bytes_max

    def put(self, record: Record) -> None:
        """Write it down; on disk when this returns. Raises OSError when the disk or the outbox is full."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file_lock():
            if self._size() > self._bytes_max:
                raise OSError(errno.ENOSPC, f"The outbox {self._waiting} is full: {self._bytes_max} bytes wait.")
            _append(self._waiting, msgspec.structs.replace(record, queued_at=_now()))

    def take_out(self, reservation_id: str) -> None:
        """The server has it."""
        with self._file_lock():
            _append(self._waiting, Taken(reservation_id))

    def refuse(self, record: Record, refusal: ApiError) -> None:
        """Keep it apart with the server's reason, for a person to read."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file_lock():
            _append(
                self.refused_path,
                Refused(
                    record=record,
                    refused_at=_now(),
                    status=refusal.status,
                    error=refusal.code,
                    message=refusal.message,
                    request_id=refusal.request_id,
                ),
            )
        logger.error(
            "The settle of %s is refused and kept in %s: %s", record.reservation_id, self.refused_path, refusal
        )

    def has_any(self) -> bool:
        """Whether anything may wait; costs a look at the file's size."""
        return self._size() > 0

    def waiting(self) -> list[Record]:
        """What is not taken yet, oldest first."""
        if not self._size():
            return []
        with self._file_lock():
            return self._read()

    def refused(self) -> list[Refused]:
        """What the server will not take, oldest first."""
        if not self.refused_path.exists():
            return []
        with self._file_lock():
            return [msgspec.convert(entry, Refused) for entry in _entries(self.refused_path)]

    def replay(self, send: Callable[[Record], object]) -> int:
        """Send what waits, oldest first, until one fails that may do better later; answers how many still wait.

        `send` raises `Failure`. One process replays at a time; the others are told what waits.
        """
        if not self._size():
            return 0
        with locked(self.folder / "replay.lock", wait=False) as is_mine:
            if is_mine:
                self._send_all(send)
                self._shorten()
        return len(self.waiting())

    def _send_all(self, send: Callable[[Record], object]) -> None:
        for record in self.waiting():
            try:
                send(record)
            except Failure as failure:
                if not (isinstance(failure, ApiError) and failure.is_final):
                    logger.warning("The settle of %s waits on: %s", record.reservation_id, failure)
                    return
                self.refuse(record, failure)
            self.take_out(record.reservation_id)

    def _shorten(self) -> None:
        """Write the file anew without what is dealt with. A crash leaves the old one or the new one, both right."""
        with self._file_lock():
            fresh = self._waiting.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            _append(fresh, *self._read())
            fresh.replace(self._waiting)
            _sync_folder(self.folder)

    def _read(self) -> list[Record]:
        waiting: dict[str, Record] = {}
        for entry in _entries(self._waiting):
            if "taken" in entry:
                waiting.pop(entry["taken"], None)
            else:
                record = msgspec.convert(entry, Record)
                waiting[record.reservation_id] = record
        return list(waiting.values())

    def _file_lock(self) -> AbstractContextManager[bool]:
        return locked(self.folder / "file.lock")

    def _size(self) -> int:
        try:
            return self._waiting.stat().st_size
        except FileNotFoundError:
            return 0


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:
            # A crash in the middle of an append: its `put` never returned, so nobody was told that it is kept.
            logger.warning("A torn line in %s is passed over.", path)


def _append(path: Path, *entries: msgspec.Struct) -> None:
    is_new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b") as file:
        # A torn last line must not swallow the first of ours.
        start = b"\n" if _is_torn(file) else b""
        file.write(start + b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _sync_folder(path.parent)


def _is_torn(file: BufferedRandom) -> bool:
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _sync_folder(folder: Path) -> None:
    """A new name in a folder is on the disk only when the folder is. Windows has no such call."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""Files of JSON lines that outlive the rows they were made of: written whole or not at all, and read again.

A file appears under its name only when it, and the folders that name it, are on the disk.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PIECE: Final = 1 << 20
#: Customers' rows are in them: they are for the worker, and whoever copies them away as root.
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class ExportDiffers(Exception):
    """What was read again from the file is not what was written."""


class ArchiveDamaged(Exception):
    """The file is not there, or is not what it was."""


@dataclass(frozen=True, slots=True)
class Written:
    """So many lines, and the SHA-256 of the file."""

    lines: int
    digest: bytes


def write_lines(path: Path, pages: Iterable[list[str]]) -> Written | None:
    """Write lines without line breaks in them, compressed, to `path`; None and no file where there are none.

    A file of this name is replaced. Raises `ExportDiffers` or `OSError`; then there is none of this name but the old.
    """
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    # The folder may be new, and somebody who was killed may have made it.
    _sync_folder(path.parent.parent)
    part = path.with_name(f"{path.name}.part")
    lines, content = 0, hashlib.sha256()
    # One that is left of somebody who was killed may be everybody's to read.
    part.unlink(missing_ok=True)
    try:
        with open(part, "wb", opener=_open_own) as raw:
            # No name and no time in it: the same lines are the same file.
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                for page in pages:
                    text = "".join(f"{line}\n" for line in page).encode()
                    content.update(text)
                    file.write(text)
                    lines += len(page)
            raw.flush()
            os.fsync(raw.fileno())
        if not lines:
            return None
        _require_same(part, lines, content.digest())
        digest = digest_of(part)
        part.rename(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return Written(lines, digest)


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file as they were written. Raises `ArchiveDamaged`."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n")
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        raise ArchiveDamaged(f"{path.name}: {type(error).__name__}") from None


def digest_of(path: Path) -> bytes:
    """Raises `ArchiveDamaged`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ArchiveDamaged(f"{path.name}: {type(error).__name__}") from None


def _require_same(path: Path, lines: int, content: bytes) -> None:
    read, found = 0, hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
            read += piece.count(b"\n")
    if (read, found.digest()) != (lines, content):
        raise ExportDiffers(f"{lines} lines were written to {path.name}, {read} can be read, or others.")


def _open_own(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)


def _sync_folder(folder: Path) -> None:
    """A name that only the memory knows would be gone with the power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

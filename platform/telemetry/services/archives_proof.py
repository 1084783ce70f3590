"""Whether the archive files of one owner are what they were when they were written.

What is noted of a file is proven by its signature, the file by its hash, and by the numbers that none is gone.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

from kernel.archives import ArchiveDamaged, digest_of, read_lines
from kernel.pages.amounts import counted_text
from telemetry.archive_kinds import ArchiveKind
from telemetry.selectors.archive_files import Archive, all_archives, name_of
from telemetry.services.archiving import NoArchive, folder_of

#: Others that lie there are not ours to judge: lists of hashes, say, of whoever copies the files away.
_ARCHIVE: Final = re.compile(rf"(?:{'|'.join(ArchiveKind.values)})-\d{{6,}}\.jsonl\.gz")


@dataclass(frozen=True, slots=True)
class ProvenArchives:
    """So many known files, rows by what is noted of them, and each fault as a sentence."""

    files: int
    rows: int
    faults: tuple[str, ...]


def prove_archives(owner: str) -> ProvenArchives:
    """Read every file of `owner`, a tag, in whose schema the connection is. Changes nothing; safe beside a worker.

    A file that is the next by its number is no fault though nothing is noted of it: a worker that was killed left it,
    and it is written anew. Reads each file twice, a piece at a time.
    """
    try:
        folder, missing = folder_of(owner), ""
    except NoArchive as error:
        folder, missing = None, str(error)
    except OSError as error:
        # Whether there are any cannot be told either.
        fault = f"The folder of archives cannot be read: {type(error).__name__}."
        return _proven(all_archives(), [fault])
    # First, so that all that lies there then is noted now, but for one of each kind.
    lying, faults = _lying(folder) if folder else (set[str](), [])
    known = all_archives()
    faults += _faults_of_numbers(known, lying)
    if folder is None:
        faults += [f"{missing}, and {counted_text(len(known), 'file')} cannot be read."] if known else []
    else:
        for file in known:
            faults += [f"{file.name}: {fault}" for fault in _faults_of(file, folder / file.name, owner)]
    return _proven(known, faults)


def _proven(known: list[Archive], faults: Iterable[str]) -> ProvenArchives:
    return ProvenArchives(files=len(known), rows=sum(file.rows for file in known), faults=tuple(faults))


def _lying(folder: Path) -> tuple[set[str], list[str]]:
    """The names of the archive files in the owner's folder; and in a sentence why they cannot be told."""
    try:
        return {path.name for path in folder.iterdir() if _ARCHIVE.fullmatch(path.name)}, []
    except FileNotFoundError:
        # Then every file that is known is missed by itself.
        return set(), []
    except OSError as error:
        return set(), [f"The folder {folder.name} cannot be read: {type(error).__name__}."]


def _faults_of_numbers(known: list[Archive], lying: set[str]) -> list[str]:
    faults = []
    expected = {name_of(kind, 1) for kind in ArchiveKind}
    for kind, of_kind in groupby(known, key=attrgetter("kind")):
        number = 0
        for file in of_kind:
            if file.number > number + 1:
                missing = f"{number + 1}" if file.number == number + 2 else f"{number + 1} to {file.number - 1}"
                faults.append(f"{kind}: nothing is noted of number {missing}.")
            number = file.number
        expected |= {name_of(kind, number + 1)}
    expected |= {file.name for file in known}
    return faults + [f"{name}: nothing is noted of it." for name in sorted(lying - expected)]


def _faults_of(file: Archive, path: Path, owner: str) -> Iterator[str]:
    if not file.is_sound(owner=owner):
        yield "what is noted of it was changed; the signature does not fit."
    if file.name != name_of(file.kind, file.number):
        # What the row says may lead anywhere.
        yield f"it is noted as number {file.number} of {file.kind}, which has another name."
        return
    try:
        path.stat()
        if digest_of(path) != file.digest:
            yield "it is not the file that was written; its hash is another."
        rows = sum(1 for _ in read_lines(path))
    except FileNotFoundError:
        yield "the file is not there."
    except OSError as error:
        yield f"it cannot be read: {type(error).__name__}."
    except ArchiveDamaged as error:
        yield f"it cannot be read: {str(error).removeprefix(f'{file.name}: ')}."
    else:
        if rows != file.rows:
            yield f"it has {counted_text(rows, 'row')}, and {file.rows:,} are noted."

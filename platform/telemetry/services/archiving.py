"""Rows that are old enough go in this order: into a file, the file into a row of `archive_file`, and only then away.

What goes is what can be read again from the file, by its keys. So whoever is killed anywhere has lost nothing, and the
next one goes on with the same file: `selectors.archive_files.unfinished` says which. The processes themselves may
delete none of these rows; a function of the schema's owner does, and sees to it that they are old and in a file.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from itertools import batched, chain
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from kernel.archives import ArchiveDamaged, digest_of, read_lines, write_lines
from kernel.ids import parse_tag
from telemetry.archive_kinds import ArchiveKind
from telemetry.models import ArchiveFile
from telemetry.selectors.archive_files import Archive, last_archive, name_of, signature_of, unfinished

#: Rows that go in one transaction.
BATCH: Final = 2_000
_LOCK: Final = 0x6172_6368


class NoArchive(OSError):
    """There is no folder for archives, so nothing old may go."""


def folder_of(owner: str) -> Path:
    """The folder of one owner's files; `owner` is a tenant's tag or the platform's.

    Raises `NoArchive`, and ValueError for what is no tag: it would lead into another folder.
    """
    if not settings.ARCHIVE_DIR:
        raise NoArchive("ARCHIVE_DIR is not set, so nothing old is dropped")
    # One that was named is not made: where a disk is not mounted the files would be on another one, and gone with it.
    folder = Path(settings.ARCHIVE_DIR)
    if settings.ARCHIVE_DIR != settings.LOCAL_ARCHIVE_DIR and not folder.exists():
        raise NoArchive("The folder of ARCHIVE_DIR is not there, so nothing old is dropped")
    if parse_tag(owner) is None:
        raise ValueError("not a tag")
    return folder / owner


@contextmanager
def alone(owner: str) -> Iterator[bool]:
    """Whether this process, and no other, may write and drop archives of the owner during the block."""
    with connection.cursor() as cursor:
        # It goes with the connection, so that who was killed stops nobody.
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK, owner])
        (is_alone,) = cursor.fetchone()
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [_LOCK, owner])


def write_archive(
    *,
    kind: ArchiveKind,
    owner: str,
    pages: Iterable[list[str]],
    until_at: datetime,
    facts: Mapping[str, Any] | None = None,
    beside: Callable[[Archive], None] | None = None,
) -> Archive | None:
    """Write rows, as JSON texts, to the next file of this kind; None where there are none. To be called `alone`.

    `beside` is called in the transaction that makes the file known. Raises `ExportDiffers` or `OSError`; then nothing
    has changed but for a file that nobody knows, which the next call replaces.
    """
    last = last_archive(kind)
    number = last.number + 1 if last else 1
    name = name_of(kind, number)
    rest = iter(pages)
    # Where nothing is old nobody has to be told that there is no folder for it.
    first = next(rest, None)
    written = None if first is None else write_lines(folder_of(owner) / name, chain([first], rest))
    if written is None:
        return None
    with transaction.atomic(durable=True):
        file = Archive(
            name=name,
            kind=kind,
            number=number,
            rows=written.lines,
            until_at=until_at,
            facts=dict(facts or {}),
            digest=written.digest,
            signature=b"",
            made_at=database_now(),
            dropped_at=None,
        )
        file = replace(file, signature=signature_of(file, owner=owner))
        ArchiveFile(**asdict(file)).save(force_insert=True)
        if beside is not None:
            beside(file)
    return file


def drop_old(
    kind: ArchiveKind,
    *,
    owner: str,
    archive: Callable[[], Archive | None],
    key_of: Callable[[Mapping[str, Any]], Any],
    drop: Callable[[Archive, list[Any]], int],
    has_time: Callable[[], bool],
    before: datetime | None = None,
) -> tuple[int, bool]:
    """Archive and drop what is old, a file at a time; how many rows went, and whether that was all.

    `archive` writes the next file, if there is something for it, and `drop` drops rows of a file by their keys. A file
    with rows that are not from before `before` waits: since it was written somebody said that they are kept longer. To
    be called `alone`. Safe to repeat and to be killed. Raises `ArchiveDamaged`, and what the two raise.
    """
    dropped = 0
    while True:
        file = unfinished(kind) or archive()
        if file is None or (before is not None and file.until_at > before):
            return dropped, True
        rows, is_done = _drop_archived(file, owner=owner, key_of=key_of, drop=partial(drop, file), has_time=has_time)
        dropped += rows
        if not is_done or not has_time():
            return dropped, False


def by_function(statement: str) -> Callable[[Archive, list[Any]], int]:
    """Dropping by a function of the schema's owner, which is given `file` and `keys` and says how many there were."""

    def drop(file: Archive, keys: list[Any]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"file": file.name, "keys": keys})
            return int(cursor.fetchone()[0])

    return drop


def _drop_archived(
    file: Archive,
    *,
    owner: str,
    key_of: Callable[[Mapping[str, Any]], Any],
    drop: Callable[[list[Any]], int],
    has_time: Callable[[], bool],
) -> tuple[int, bool]:
    """Drop what is in the file, some rows at a time; how many there were, and whether that was all.

    Raises `ArchiveDamaged` before anything is dropped where the file is not what was written.
    """
    path = folder_of(owner) / file.name
    if not file.is_sound(owner=owner):
        raise ArchiveDamaged(f"{file.name}: what is noted of it was changed")
    if digest_of(path) != bytes(file.digest):
        raise ArchiveDamaged(f"{file.name}: it is not the file that was written")
    dropped = 0
    for batch in batched(read_lines(path), BATCH):
        with transaction.atomic(durable=True):
            dropped += drop([key_of(json.loads(line)) for line in batch])
        if not has_time():
            return dropped, False
    ArchiveFile.objects.filter(pk=file.name).update(dropped_at=Now())
    return dropped, True


def database_now() -> datetime:
    """The clock by which rows are old."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now

"""The archive files of the schema that the connection is in, and whether what is noted of them is what was noted."""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Max, Sum

from kernel.keyring import keys_for
from telemetry.archive_kinds import ArchiveKind
from telemetry.models import ArchiveFile

_PURPOSE: Final = "archive.file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One file: so many rows, all from before `until_at`. `dropped_at` is None while some of them may still be there.

    `facts` is JSON; `digest` is the SHA-256 of the file.
    """

    name: str
    kind: ArchiveKind
    number: int
    rows: int
    until_at: datetime
    facts: Mapping[str, Any]
    digest: bytes
    signature: bytes
    made_at: datetime
    dropped_at: datetime | None

    def is_sound(self, *, owner: str) -> bool:
        """Whether this installation noted it for `owner`, with its secret or with one before it."""
        said = said_of(self, owner)
        return any(
            hmac.compare_digest(hmac.digest(key, said, "sha256"), self.signature)
            for key in keys_for(_PURPOSE).verifying
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRows:
    """What was archived of one kind so far: rows in files, the last made at `made_at`, all from before `until_at`."""

    files: int = 0
    rows: int = 0
    last: str = ""
    until_at: datetime | None = None
    made_at: datetime | None = None


def name_of(kind: ArchiveKind, number: int) -> str:
    """What the file of this number is called in the folder of its owner."""
    return f"{kind}-{number:06}.jsonl.gz"


def archived_rows() -> dict[ArchiveKind, ArchivedRows]:
    """By kind, those without a file left out. One query."""
    found = ArchiveFile.objects.values("kind").annotate(
        files=Count("pk"), of_rows=Sum("rows"), last=Max("number"), until=Max("until_at"), made=Max("made_at")
    )
    return {
        ArchiveKind(row["kind"]): ArchivedRows(
            files=row["files"],
            rows=int(row["of_rows"]),
            last=name_of(ArchiveKind(row["kind"]), row["last"]),
            until_at=row["until"],
            made_at=row["made"],
        )
        for row in found
    }


def all_archives() -> list[Archive]:
    """Every file that is known, by kind and number. One query."""
    return [archive_of(row) for row in ArchiveFile.objects.order_by("kind", "number")]


def last_archive(kind: ArchiveKind) -> Archive | None:
    """The newest file of a kind. One query."""
    return _first(ArchiveFile.objects.filter(kind=kind).order_by("-number")[:1])


def unfinished(kind: ArchiveKind) -> Archive | None:
    """The oldest file of a kind whose rows are not all dropped yet. One query."""
    return _first(ArchiveFile.objects.filter(kind=kind, dropped_at=None).order_by("number")[:1])


def newest_archives(*, limit: int) -> list[Archive]:
    """Of all kinds, the newest first. One query."""
    return [archive_of(row) for row in ArchiveFile.objects.order_by("-made_at", "name")[:limit]]


def archive_of(row: ArchiveFile) -> Archive:
    return Archive(
        name=row.name,
        kind=ArchiveKind(row.kind),
        number=row.number,
        rows=row.rows,
        until_at=row.until_at,
        facts=row.facts,
        digest=bytes(row.digest),
        signature=bytes(row.signature),
        made_at=row.made_at,
        dropped_at=row.dropped_at,
    )


def signature_of(file: Archive, *, owner: str) -> bytes:
    return hmac.digest(keys_for(_PURPOSE).signing, said_of(file, owner), "sha256")


def said_of(file: Archive, owner: str) -> bytes:
    """What is signed. When it was made and dropped is no part of it: that proves nothing."""
    until = int(file.until_at.timestamp() * 1_000_000)
    said = [owner, file.name, file.kind, file.number, file.rows, until, dict(file.facts), file.digest.hex()]
    return json.dumps(said, separators=(",", ":"), sort_keys=True).encode()


def _first(rows: Iterable[ArchiveFile]) -> Archive | None:
    return next((archive_of(row) for row in rows), None)

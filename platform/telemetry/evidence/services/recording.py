"""Keeping what a tenant's runtime saw, in the tenant's schema; and saying at once where it saw another tenant."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.db import connection, transaction

from kernel.actor import Actor
from kernel.sql_files import read_sql
from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.models import EvidenceNote
from telemetry.evidence.otlp.sent import Sent
from telemetry.evidence.reading import Owner, Refused, read_span
from telemetry.services import audit

#: Other tenants of one request that are noted by name; the rest are counted together.
NAMED_MAX: Final = 20
_ADD_SPANS: Final = read_sql("telemetry.evidence", "add_spans")
_ADD_NOTES: Final = read_sql("telemetry.evidence", "add_notes")
#: Other tenants of one kind and day that are noted, and told, by name: whoever makes names up must not flood those
#: who are told.
NAMED_A_DAY_MAX: Final = 40
#: What is written in the trail, once a day for each tenant that was named.
_WRITTEN: Final[Mapping[NoteKind, str]] = {
    NoteKind.LEAK: "evidence.leak",
    NoteKind.FOREIGN: "evidence.foreign_span",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The first leak, or the first refused span of another tenant, of a day. `about` is the tenant that was named."""

    kind: NoteKind
    about: str
    count: int
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`repeated` were kept before, and `leaks` are among the stored."""

    stored: int
    repeated: int
    leaks: int
    refused: Mapping[NoteKind, int]
    alarms: tuple[Alarm, ...]

    @property
    def refused_count(self) -> int:
        return sum(self.refused.values())


def record(sent: Sent, *, owner: Owner, actor: Actor, now: datetime) -> Recorded:
    """Keep the spans in the schema that the connection is in, in one transaction. Safe to repeat: one that is kept
    already is passed over. Whom its alarms are told to, the caller says.
    """
    rows: list[dict[str, Any]] = []
    noted: Counter[tuple[NoteKind, str]] = Counter()
    traces: dict[tuple[NoteKind, str], str] = {}
    if sent.unreadable:
        noted[NoteKind.MALFORMED, ""] = sent.unreadable
    for span in sent.spans:
        read = read_span(span, owner=owner, now=now)
        if isinstance(read, Refused):
            _note(noted, traces, read)
        else:
            rows.append(read)
    refused: Counter[NoteKind] = Counter()
    for (kind, _), count in noted.items():
        refused[kind] += count
    with transaction.atomic():
        stored = leaks = 0
        for about, count, trace_id in _add_spans(rows):
            stored += count
            if about is not None:
                leaks += count
                _note(noted, traces, Refused(NoteKind.LEAK, about=about, trace_id=trace_id), count=count)
        noted = _without_too_many(noted, traces, now)
        alarms = tuple(_add_notes(noted, traces, now))
        _write_down(alarms, actor=actor, now=now)
    return Recorded(stored=stored, repeated=len(rows) - stored, leaks=leaks, refused=refused, alarms=alarms)


def _note(
    noted: Counter[tuple[NoteKind, str]], traces: dict[tuple[NoteKind, str], str], what: Refused, *, count: int = 1
) -> None:
    key = (what.kind, what.about if (what.kind, what.about) in noted or len(noted) < NAMED_MAX else "")
    noted[key] += count
    traces[key] = what.trace_id


def _without_too_many(
    noted: Counter[tuple[NoteKind, str]], traces: dict[tuple[NoteKind, str], str], now: datetime
) -> Counter[tuple[NoteKind, str]]:
    """The same counts; names that are too many for one day are counted together, each kind by itself."""
    if not any(about for _, about in noted):
        return noted
    day = EvidenceNote.objects.filter(day=now.astimezone(UTC).date()).exclude(about="")
    known = {(NoteKind(kind), about) for kind, about in day.values_list("kind", "about")}
    named = Counter(kind for kind, _ in known)
    kept: Counter[tuple[NoteKind, str]] = Counter()
    for (kind, about), count in noted.items():
        key = (kind, about)
        if about and key not in known:
            named[kind] += 1
            key = key if named[kind] <= NAMED_A_DAY_MAX else (kind, "")
            traces[key] = traces[kind, about]
        kept[key] += count
    return kept


def _add_spans(rows: list[dict[str, Any]]) -> list[tuple[str | None, int, str]]:
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_ADD_SPANS, {"rows": msgspec.json.encode(rows).decode()})
        return list(cursor.fetchall())


def _add_notes(
    noted: Counter[tuple[NoteKind, str]], traces: Mapping[tuple[NoteKind, str], str], now: datetime
) -> Iterable[Alarm]:
    if not noted:
        return
    notes = [
        {"kind": kind.value, "about": about, "count": count, "trace_id": traces.get((kind, about), "")}
        for (kind, about), count in noted.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD_NOTES, {"notes": msgspec.json.encode(notes).decode(), "now": now})
        for kind, about, count, trace_id, is_first in cursor.fetchall():
            if is_first and NoteKind(kind) in _WRITTEN:
                yield Alarm(kind=NoteKind(kind), about=about, count=count, trace_id=trace_id)


def _write_down(alarms: Iterable[Alarm], *, actor: Actor, now: datetime) -> None:
    for alarm in alarms:
        audit.record(
            actor=actor,
            action=_WRITTEN[alarm.kind],
            target=f"trace {alarm.trace_id}",
            at=now,
            after={"trace_id": alarm.trace_id, "spans": alarm.count, "named": alarm.about},
        )

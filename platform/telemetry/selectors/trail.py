"""The audit trail of the schema that the connection is in: the tenant's, or the platform's in the shared one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from telemetry.models import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailFilter:
    """What is empty or None does not narrow; words are found anywhere, in either case. `until` is exclusive.

    `reference` is a request's or a trace's id, whole; `reason` is found anywhere as well.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    reason: str = ""
    reference: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailLine:
    """Who did what to what, and why."""

    id: UUID
    at: datetime
    actor: str
    actor_type: str
    action: str
    target: str
    reason: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    source_ip: str
    request_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class TrailPage:
    """The newest first. `next_before` is the cursor of the next page, empty on the last one."""

    lines: tuple[TrailLine, ...]
    next_before: str


def trail_page(wanted: TrailFilter, *, before: str = "", limit: int) -> TrailPage:
    """What the filter means, behind the cursor. One query along the index of times."""
    found = trail_entries(wanted).order_by("-at", "-id")
    if (cursor := _read(before)) is not None:
        at, last = cursor
        found = found.filter(Q(at__lt=at) | Q(at=at, id__lt=last), at__lte=at)
    entries = list(found[: limit + 1])
    lines = tuple(_line(entry) for entry in entries[:limit])
    is_cut = len(entries) > limit
    return TrailPage(lines=lines, next_before=f"{lines[-1].at.isoformat()}~{lines[-1].id.hex}" if is_cut else "")


def facts_since(since: datetime, *, target: str, actions: str) -> Iterator[dict[str, Any]]:
    """What entries on this target say of afterwards, of the actions that begin with `actions`. One query."""
    entries = AuditEntry.objects.filter(at__gte=since, target=target, action__startswith=actions)
    for after in entries.values_list("after", flat=True):
        yield after or {}


def trail_entries(wanted: TrailFilter) -> QuerySet[AuditEntry]:
    """What the filter means, in no order. Nothing is asked yet."""
    found = AuditEntry.objects.all()
    if wanted.actor:
        found = found.filter(actor__icontains=wanted.actor)
    if wanted.action:
        found = found.filter(action__icontains=wanted.action)
    if wanted.target:
        found = found.filter(target__icontains=wanted.target)
    if wanted.reason:
        found = found.filter(reason__icontains=wanted.reason)
    if wanted.reference:
        found = found.filter(Q(request_id=wanted.reference) | Q(trace_id=wanted.reference))
    if wanted.since is not None:
        found = found.filter(at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(at__lt=wanted.until)
    return found


def _line(entry: AuditEntry) -> TrailLine:
    return TrailLine(
        id=entry.id,
        at=entry.at,
        actor=entry.actor,
        actor_type=entry.actor_type,
        action=entry.action,
        target=entry.target,
        reason=entry.reason,
        before=entry.before,
        after=entry.after,
        source_ip=entry.source_ip,
        request_id=entry.request_id,
        trace_id=entry.trace_id,
    )


def _read(cursor: str) -> tuple[datetime, UUID] | None:
    """None where there is no cursor, or somebody wrote it by hand."""
    text, _, name = cursor.partition("~")
    try:
        at, last = datetime.fromisoformat(text), UUID(hex=name)
    except ValueError:
        return None
    return (at, last) if at.tzinfo is not None else None

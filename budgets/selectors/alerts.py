"""Alerts of the tenant whose schema the connection is in."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Min, Q

from budgets.models import Alert, AlertChannel, AlertMark
from budgets.models.choices import AlertKind, AlertState, ChannelKind, Severity
from kernel.sql_files import read_sql

#: What comes in within this time is told together.
GATHER: Final = timedelta(seconds=30)
#: A channel is not spoken to more often than this.
PACE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """One alert. `ended_by` is empty while it is open; `snoozed_until` is set while somebody has put it off."""

    id: UUID
    kind: AlertKind
    subject: str
    threshold: int
    severity: Severity
    scope_path: str
    summary: str
    state: AlertState
    opened_at: datetime
    period_ends_at: datetime | None
    snoozed_until: datetime | None
    ended_at: datetime | None
    ended_by: str
    end_reason: str


@dataclass(frozen=True, slots=True)
class AlertPage:
    """`next_before` is the id to ask from for the next page, None on the last one."""

    alerts: tuple[AlertLine, ...]
    next_before: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLine:
    """Where alerts are told. `hint` is what may be shown of its address; `failure` is empty where the last one went."""

    id: UUID
    kind: ChannelKind
    name: str
    hint: str
    severity_min: Severity
    is_on: bool
    created_by: str
    created_at: datetime
    test_asked_at: datetime | None
    sent_at: datetime | None
    retry_at: datetime | None
    failures: int
    failed_at: datetime | None
    failure: str


@dataclass(frozen=True, slots=True)
class OpenSummary:
    """How many things have an open alert that nobody put off; the worst one's severity (0 without any) and words."""

    count: int
    severity: int
    words: str


_COLUMNS = tuple(field.name for field in fields(AlertLine))


def open_alerts(*, limit: int) -> tuple[AlertLine, ...]:
    """The worst first, and of each subject only the worst: 95 % of a budget says that it has passed 80 %. One query."""
    worst = Alert.objects.filter(state=AlertState.OPEN).order_by("kind", "subject", "-severity", "-opened_at", "-id")
    found = Alert.objects.filter(pk__in=worst.distinct("kind", "subject").values("pk"))
    return tuple(_line(row) for row in found.order_by("-severity", "-opened_at", "-id")[:limit])


def past_alerts(*, before: UUID | None = None, limit: int) -> AlertPage:
    """Those that have ended, the newest first. One query, two from the second page on."""
    found = Alert.objects.exclude(state=AlertState.OPEN).order_by("-opened_at", "-id")
    if before is not None:
        last_at = Alert.objects.filter(pk=before).values_list("opened_at", flat=True).first()
        if last_at is None:
            return AlertPage((), None)
        found = found.filter(Q(opened_at__lt=last_at) | Q(opened_at=last_at, id__lt=before))
    lines = [_line(row) for row in found[: limit + 1]]
    return AlertPage(tuple(lines[:limit]), next_before=lines[limit - 1].id if len(lines) > limit else None)


def alert_line(alert_id: UUID) -> AlertLine | None:
    row = Alert.objects.filter(pk=alert_id).first()
    return _line(row) if row else None


def looked_at() -> datetime | None:
    """When the worker last looked for alerts; None before the first time."""
    return AlertMark.objects.filter(pk=1).values_list("looked_at", flat=True).first()


def next_ending() -> datetime | None:
    """When an open alert is over by itself, or back from its snooze; None without any. One query."""
    still = Alert.objects.filter(state=AlertState.OPEN)
    found = still.aggregate(over=Min("period_ends_at"), back=Min("snoozed_until"))
    return min((at for at in found.values() if at is not None), default=None)


def open_summary() -> OpenSummary:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", "alert_summary"))
        count, severity, words = cursor.fetchone()
    return OpenSummary(count=count, severity=severity or 0, words=words or "")


def due_channels() -> list[tuple[UUID, datetime]]:
    """The channels with something to tell, and when; the earliest first. One query."""
    parameters: dict[str, Any] = {"gather": GATHER, "pace": PACE}
    with connection.cursor() as cursor:
        cursor.execute(read_sql("budgets", "alert_channels_due"), parameters)
        return list(cursor.fetchall())


def next_telling() -> datetime | None:
    """When a channel next has something to tell; None where everything is told. One query."""
    due = due_channels()
    return due[0][1] if due else None


def channel_lines() -> tuple[ChannelLine, ...]:
    """In the order in which they were made, without their addresses. One query."""
    rows = AlertChannel.objects.order_by("created_at", "id").defer("sealed")
    return tuple(_channel(row) for row in rows)


def channel_line(channel_id: UUID) -> ChannelLine | None:
    row = AlertChannel.objects.filter(pk=channel_id).defer("sealed").first()
    return _channel(row) if row else None


def _channel(row: AlertChannel) -> ChannelLine:
    values: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(ChannelLine)}
    return ChannelLine(**values | {"kind": ChannelKind(row.kind), "severity_min": Severity(row.severity_min)})


def _line(row: Alert) -> AlertLine:
    values: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS}
    return AlertLine(
        **values | {"kind": AlertKind(row.kind), "severity": Severity(row.severity), "state": AlertState(row.state)}
    )

"""Telling channels of alerts: many together, in one message, and not too often; nothing is held while it is sent.

A channel is taken for a minute, spoken to outside of any transaction, and then it is written down how far it was told.
Killed in between, it is told again after that minute: at least once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from budgets.models import Alert, AlertChannel, LedgerHead
from budgets.models.choices import AlertState, ChannelKind, Severity
from budgets.selectors.alerts import due_channels
from budgets.services.alert_addresses import ChannelNotAllowed
from budgets.services.alert_channels import address_of
from budgets.services.alert_senders import Message, NotTold, tell
from budgets.services.alerts import WATCH, note_open_alerts
from kernel.ids import Tag
from kernel.pages.amounts import counted_text
from kernel.tenancy import in_tenant
from telemetry.services import audit

#: How long a channel is nobody else's. Longer than any service may take.
_TAKEN_FOR: Final = timedelta(minutes=1)
_LINES_MAX: Final = 20
#: Failures one behind the other after which a channel is switched off.
FAILURES_MAX: Final = 12
_RETRY_FIRST: Final = timedelta(minutes=1)
_RETRY_MAX: Final = timedelta(hours=6)
_LOST: Final = "The address cannot be read any more: make the channel anew."
_FORBIDDEN: Final = "This installation does not speak to this kind of channel any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A channel that is ours for now, and what it is to be told. `until` is the newest alert that it knows then.

    `until` is None where the message is a test.
    """

    channel: AlertChannel
    message: Message
    until: datetime | None
    busy_until: datetime


def tell_channels(*, tag: Tag, has_time: Callable[[], bool], chance: Callable[[], float]) -> int:
    """Tell the tenant's channels what they do not know; to how many. Safe to repeat, and to run twice at once.

    `chance` is from 0 to 1: it spreads the retries of many.
    """
    told = 0
    with in_tenant(tag):
        now = _now()
        due = [channel_id for channel_id, at in due_channels() if at <= now]
    for channel_id in due:
        if not has_time():
            break
        told += _tell_one(tag, channel_id, chance())
    note_open_alerts(tag=tag)
    return told


def _tell_one(tag: Tag, channel_id: UUID, chance: float) -> int:
    with in_tenant(tag):
        taken = _take(channel_id)
    if taken is None:
        return 0
    failure = _spoken(taken.channel, taken.message)
    with in_tenant(tag):
        _settle(taken, failure, chance)
    return 0 if failure else 1


def _take(channel_id: UUID) -> _Taken | None:
    with transaction.atomic():
        channel = AlertChannel.objects.select_for_update(skip_locked=True).filter(pk=channel_id).first()
        now = _now()
        if channel is None or (channel.busy_until is not None and channel.busy_until > now):
            return None
        if channel.test_asked_at is not None:
            return _taken(channel, _test(channel), until=None, now=now)
        # Whoever opens alerts holds the tenant's mark and reads the clock behind it: what cannot be seen yet is newer
        # than all that can.
        newest = Alert.objects.order_by("-tell_at").values_list("tell_at", flat=True).first()
        lines = _lines(channel)
        if newest is None or not lines or not channel.is_on:
            return None
        return _taken(channel, _message(lines), until=newest, now=now)


def _taken(channel: AlertChannel, message: Message, *, until: datetime | None, now: datetime) -> _Taken:
    channel.busy_until = now + _TAKEN_FOR
    channel.save(update_fields=["busy_until"])
    return _Taken(channel=channel, message=message, until=until, busy_until=channel.busy_until)


def _lines(channel: AlertChannel) -> list[Alert]:
    """What it is to be told, the worst first; of each subject only the worst."""
    untold = Alert.objects.filter(
        Q(tell_at__gt=channel.told_at, severity__gte=channel.severity_min), state=AlertState.OPEN, snoozed_until=None
    )
    worst = untold.order_by("kind", "subject", "-severity", "-opened_at", "-id").distinct("kind", "subject")
    return sorted(worst, key=lambda alert: (alert.severity, alert.opened_at), reverse=True)


def _message(alerts: list[Alert]) -> Message:
    slug = _slug()
    shown = alerts[:_LINES_MAX]
    lines = [f"{Severity(alert.severity).label}: {_one_line(alert.summary)}" for alert in shown]
    more = len(alerts) - len(shown)
    page = f"{settings.CONSOLE_URL}/t/{slug}/alerts/"
    lines += [f"… and {counted_text(more, 'more alert')}."] if more else []
    document: dict[str, Any] = {
        "type": "watermaster.alerts",
        "tenant": slug,
        "count": len(alerts),
        "url": page,
        "alerts": [_document(alert) for alert in shown],
    }
    return Message(
        title=f"{slug}: {counted_text(len(alerts), 'alert')}", body="\n".join([*lines, "", page]), document=document
    )


def _test(channel: AlertChannel) -> Message:
    slug = _slug()
    body = f"This is a test of the channel {_one_line(channel.name)}. Alerts of {slug} will be told here."
    document = {"type": "watermaster.alerts.test", "tenant": slug, "alerts": []}
    return Message(title=f"{slug}: a test", body=body, document=document)


def _slug() -> str:
    return LedgerHead.objects.values_list("slug", flat=True).get(pk=1)


def _document(alert: Alert) -> dict[str, Any]:
    return {
        "id": str(alert.pk),
        "kind": alert.kind,
        "severity": Severity(alert.severity).name.lower(),
        "scope": alert.scope_path,
        "summary": alert.summary,
        "opened_at": alert.opened_at.isoformat(),
        "facts": alert.facts,
    }


def _spoken(channel: AlertChannel, message: Message) -> str:
    """What went wrong; empty where nothing did."""
    address = address_of(channel)
    if address is None:
        return _LOST
    try:
        tell(ChannelKind(channel.kind), address, message)
    except ChannelNotAllowed:
        return _FORBIDDEN
    except NotTold as failure:
        return str(failure)
    return ""


def _settle(taken: _Taken, failure: str, chance: float) -> None:
    with transaction.atomic():
        ours = AlertChannel.objects.select_for_update().filter(pk=taken.channel.pk, busy_until=taken.busy_until)
        channel = ours.first()
        if channel is None:
            # It took too long, and somebody else has it now; or it is gone.
            return
        now = _now()
        channel.busy_until = None
        if taken.until is None:
            channel.test_asked_at, channel.failure = None, failure
            channel.failed_at = now if failure else channel.failed_at
            # A test says nothing of when alerts were told: it does not put off the next ones.
        elif not failure:
            channel.told_at, channel.sent_at = max(taken.until, channel.told_at), now
            channel.failures, channel.retry_at, channel.failure = 0, None, ""
        else:
            channel.failures += 1
            channel.failed_at, channel.failure = now, failure
            wait = min(_RETRY_FIRST * 2 ** (channel.failures - 1), _RETRY_MAX)
            channel.retry_at = now + wait * (1 + chance / 2)
            if channel.failures >= FAILURES_MAX:
                channel.is_on = False
                facts = {"failures": channel.failures, "failure": failure}
                target = f"alert_channel:{channel.pk}"
                audit.record(actor=WATCH, action="alert_channel.gave_up", target=target, at=now, after=facts)
        channel.save()


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now

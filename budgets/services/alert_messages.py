"""What a channel is told: the alerts that it does not know, in one message, or that this is a test."""

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Max, Q, QuerySet

from budgets.models import Alert, AlertChannel, LedgerHead
from budgets.models.choices import AlertState, Severity
from budgets.services.alert_senders import Message
from kernel.pages.amounts import counted_text

_LINES_MAX: Final = 20


def untold_alerts(channel: AlertChannel, *, after: datetime, until: datetime | None = None) -> list[Alert]:
    """Those of between these times that it is to be told, the worst first; of each subject only the worst."""
    untold = Alert.objects.filter(
        Q(for_channels=None) | Q(for_channels__contains=[channel.pk]),
        tell_at__gt=after,
        severity__gte=channel.severity_min,
        state=AlertState.OPEN,
        snoozed_until=None,
    )
    if until is not None:
        untold = untold.filter(tell_at__lte=until)
    worst = untold.order_by("kind", "subject", "-severity", "-opened_at", "-id").distinct("kind", "subject")
    return sorted(worst, key=lambda alert: (alert.severity, alert.opened_at), reverse=True)


def may_come_back(channel: AlertChannel, *, after: datetime, now: datetime) -> QuerySet[Alert]:
    """Those from `after` on that are over, were not told to all of its readers, and can be back in their period."""
    return Alert.objects.filter(
        Q(for_channels=None) | Q(for_channels__contains=[channel.pk]),
        tell_at__gt=after,
        tell_at__lte=channel.told_at,
        severity__gte=channel.severity_min,
        state=AlertState.RECOVERED,
        period_ends_at__gt=now,
    ).exclude(period="")


def may_come_back_until(channel: AlertChannel, *, after: datetime, now: datetime) -> datetime | None:
    """When the last of those that may come back cannot any more."""
    last: datetime | None = may_come_back(channel, after=after, now=now).aggregate(last=Max("period_ends_at"))["last"]
    return last


def message_of(alerts: list[Alert]) -> Message:
    """Of the tenant whose schema the connection is in."""
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


def message_of_test(channel: AlertChannel) -> Message:
    """The same way as an alert takes, and it says that it is none."""
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


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())

"""What people do with an alert: put it off, or say that it is dealt with. Both mean all thresholds of its subject."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from budgets.models import Alert
from budgets.models.choices import AlertState
from budgets.services.alert_lock import lock_alerts
from budgets.services.alerts import note_open_alerts
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox
from tenants.services.standing import look_soon


class AlertNotFound(Exception):
    """The tenant has no alert with this id."""


class AlertIsOver(Exception):
    """It has ended meanwhile; the exception's text is the state."""


def snooze_alert(*, tag: Tag, alert_id: UUID, until: datetime, actor: Actor) -> bool:
    """Tell nobody of it until then; if it still holds, it comes back. False where it is put off so already.

    Raises `AlertNotFound` or `AlertIsOver`.
    """
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        alert, rows = _open(alert_id)
        if until <= now or all(row.snoozed_until == until for row in rows):
            return False
        Alert.objects.filter(pk__in=[row.pk for row in rows]).update(snoozed_until=until)
        _record("alert.snoozed", alert, actor=actor, now=now, after={"until": until.isoformat()})
    note_open_alerts(tag=tag)
    # An idle tenant is visited by nobody: the next look finds out when to come back.
    look_soon(tags=[tag])
    return True


def resolve_alert(*, tag: Tag, alert_id: UUID, actor: Actor) -> bool:
    """Say that it is dealt with: in its period it is not told again. False where somebody has said so before.

    Raises `AlertNotFound` or `AlertIsOver`.
    """
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        alert = Alert.objects.filter(pk=alert_id).first()
        if alert is not None and alert.state == AlertState.RESOLVED:
            return False
        alert, rows = _open(alert_id)
        Alert.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=AlertState.RESOLVED,
            snoozed_until=None,
            ended_at=now,
            ended_by=actor.name,
            end_reason=actor.reason,
        )
        _record("alert.resolved", alert, actor=actor, now=now, after={"thresholds": [row.threshold for row in rows]})
    note_open_alerts(tag=tag)
    return True


def _open(alert_id: UUID) -> tuple[Alert, list[Alert]]:
    """The alert, and with it all that are open about its subject."""
    alert = Alert.objects.filter(pk=alert_id).first()
    if alert is None:
        raise AlertNotFound(str(alert_id))
    if alert.state != AlertState.OPEN:
        raise AlertIsOver(alert.state)
    return alert, list(Alert.objects.filter(kind=alert.kind, subject=alert.subject, state=AlertState.OPEN))


#: The events of these acts: the protocol has none.
_EVENT: Final = "custom.{action}"


def _record(action: str, alert: Alert, *, actor: Actor, now: datetime, after: dict[str, object]) -> None:
    facts = {"kind": alert.kind, "subject": alert.subject, "words": alert.summary} | after
    audit.record(actor=actor, action=action, target=f"alert:{alert.pk}", at=now, after=facts)
    event = outbox.Event(
        event_type=_EVENT.format(action=action),
        content={"alert_id": str(alert.pk), "summary": alert.summary} | after,
        scope_path=alert.scope_path,
    )
    outbox.announce(event, actor=actor, at=now)

"""Whom alerts are told: channels are made, switched and removed, each with a reason. Addresses are kept sealed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from budgets.models import AlertChannel
from budgets.models.choices import ChannelKind, Severity
from budgets.services.alert_addresses import Address
from budgets.services.alert_lock import lock_alerts
from budgets.services.alerts import note_open_alerts
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.sealing import seal, unseal
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox

CHANNELS_MAX: Final = 20
_PURPOSE: Final = "alert channel"


class ChannelNotFound(Exception):
    """The tenant has no channel with this id."""


class TooManyChannels(Exception):
    """The tenant has as many channels as it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChannel:
    """The id is the form's own, so that a form that is sent twice makes one channel."""

    id: UUID
    kind: ChannelKind
    name: str
    address: Address
    severity_min: Severity


def add_channel(new: NewChannel, *, actor: Actor) -> bool:
    """From now on alerts of that severity are told there; False where the id is known. Raises `TooManyChannels`."""
    with transaction.atomic():
        now = lock_alerts()
        if AlertChannel.objects.filter(pk=new.id).exists():
            return False
        if AlertChannel.objects.count() >= CHANNELS_MAX:
            raise TooManyChannels
        row = AlertChannel(
            id=new.id,
            kind=new.kind,
            name=new.name,
            sealed=seal(new.address.text, purpose=_PURPOSE),
            hint=new.address.hint,
            severity_min=new.severity_min,
            created_by=actor.name,
            created_at=now,
            # What was found before is not told: whoever makes a channel sees it on the page.
            told_at=now,
        )
        row.save(force_insert=True)
        _note(actor, "alert_channel.added", row, now=now, after=_facts(row))
    return True


def switch_channel(*, channel_id: UUID, is_on: bool, actor: Actor) -> bool:
    """False where it is so already. Switched on again it tells what comes from then on. Raises `ChannelNotFound`."""
    with transaction.atomic():
        now = lock_alerts()
        row = _row(channel_id)
        if row.is_on == is_on:
            return False
        before = _facts(row)
        row.is_on = is_on
        if is_on:
            row.told_at, row.failures, row.retry_at, row.failure = now, 0, None, ""
            row.behind, row.behind_since, row.behind_at, row.behind_tries = [], None, None, 0
        row.save()
        action = "alert_channel.switched_on" if is_on else "alert_channel.switched_off"
        _note(actor, action, row, now=now, before=before, after=_facts(row))
    return True


def remove_channel(*, channel_id: UUID, actor: Actor) -> bool:
    """Forget it with its address; False where it is gone. Safe to repeat."""
    with transaction.atomic():
        now = lock_alerts()
        row = AlertChannel.objects.filter(pk=channel_id).first()
        if row is None:
            return False
        AlertChannel.objects.filter(pk=channel_id).delete()
        _note(actor, "alert_channel.removed", row, now=now, before=_facts(row))
    return True


def ask_for_test(*, tag: Tag, channel_id: UUID, actor: Actor) -> None:
    """Have the worker send a message that says that it is a test. Raises `ChannelNotFound`."""
    with in_tenant(tag), transaction.atomic():
        now = lock_alerts()
        row = _row(channel_id)
        row.test_asked_at = now
        row.save(update_fields=["test_asked_at"])
        _note(actor, "alert_channel.tested", row, now=now)
    note_open_alerts(tag=tag)


def address_of(row: AlertChannel) -> str | None:
    """The address; None where it was sealed by a secret that is not known any more."""
    return unseal(row.sealed, purpose=_PURPOSE)


def _row(channel_id: UUID) -> AlertChannel:
    row = AlertChannel.objects.select_for_update().filter(pk=channel_id).first()
    if row is None:
        raise ChannelNotFound(str(channel_id))
    return row


def _note(
    actor: Actor,
    action: str,
    row: AlertChannel,
    *,
    now: datetime,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    target = f"alert_channel:{row.pk}"
    audit.record(actor=actor, action=action, target=target, at=now, before=before, after=after)
    # The protocol has no event for it. Where it leads is for the tenant's own people, who read the trail.
    content = {"channel_id": str(row.pk), "kind": row.kind, "name": row.name, "is_on": row.is_on}
    outbox.announce(outbox.Event(event_type=f"custom.{action}", content=content), actor=actor, at=now)


def _facts(row: AlertChannel) -> dict[str, object]:
    return {"kind": row.kind, "name": row.name, "leads_to": row.hint, "from": row.severity_min, "is_on": row.is_on}

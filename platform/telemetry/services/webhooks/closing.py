"""A closed tenant's subscriptions: nothing is sent to them any more."""

from datetime import datetime
from typing import Final

from kernel.actor import Actor
from telemetry.event_owner import Owner
from telemetry.models import WebhookDelivery, WebhookSubscription
from telemetry.services import audit, outbox
from telemetry.services.webhooks.subscriptions import subscription_id
from telemetry.webhook_states import WAITING, DeliveryStatus, WebhookStatus

_EVENT: Final = "webhook.disabled_via_tenant_cascade"


def disable_with_tenant(*, owner: Owner, actor: Actor, now: datetime) -> int:
    """Disable all that are not, in the caller's transaction, and give up what waits; how many there were."""
    still_on = WebhookSubscription.objects.exclude(status=WebhookStatus.DISABLED).select_for_update().order_by("id")
    disabled = list(still_on)
    for subscription in disabled:
        wire_id = subscription_id(subscription, owner)
        facts = {"status": WebhookStatus.DISABLED}
        audit.record(
            actor=actor, action=_EVENT, target=wire_id, at=now, before={"status": subscription.status}, after=facts
        )
        content = {
            "subscription_id": wire_id,
            "name": subscription.name,
            "prior_status": subscription.status,
            "new_status": WebhookStatus.DISABLED,
            "cascade_reason": "tenant_closed",
        }
        outbox.announce(outbox.Event(event_type=_EVENT, content=content), actor=actor, at=now)
    WebhookSubscription.objects.filter(pk__in=[each.pk for each in disabled]).update(
        status=WebhookStatus.DISABLED, status_reason="tenant_closed", updated_at=now
    )
    WebhookDelivery.objects.filter(status__in=WAITING).update(
        status=DeliveryStatus.FAILED, completed_at=now, error="The tenant was closed."
    )
    return len(disabled)

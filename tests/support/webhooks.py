"""Subscriptions of a tenant, and a worker's visit to it."""

from datetime import UTC, datetime
from typing import Any

from kernel.actor import Actor
from telemetry.event_owner import PLATFORM, Owner
from telemetry.models import WebhookDelivery, WebhookSubscription
from telemetry.services.outbox import Event, announce
from telemetry.services.webhooks.subscriptions import NewSubscription, create_subscription, update_subscription
from tenants.models import Tenant
from tenants.services import webhook_due
from tenants.services.webhook_visits import deliver, hand_out_events, in_schema_of

SCENE = Actor(name="scene", actor_type="system")


class Hooks:
    """The webhooks of one tenant, or of the platform."""

    def __init__(self, tenant: Tenant | None) -> None:
        self.owner = Owner(tag=tenant.tag, tenant_id=tenant.slug) if tenant else PLATFORM
        webhook_due.enrol()

    def subscribe(self, url: str, *event_types: str, **more: Any) -> WebhookSubscription:
        return self.issue(url, *event_types, **more)[0]

    def issue(self, url: str, *event_types: str, **more: Any) -> tuple[WebhookSubscription, str]:
        """The subscription and its secret."""
        new = NewSubscription(url=url, event_types=event_types or ["budget.funded"], **more)
        with in_schema_of(self.owner):
            issued = create_subscription(new, owner=self.owner, actor=SCENE, now=datetime.now(UTC))
        return issued.subscription, issued.secret

    def change(self, subscription: WebhookSubscription, **changes: Any) -> WebhookSubscription:
        with in_schema_of(self.owner):
            return update_subscription(subscription.pk, changes, owner=self.owner, actor=SCENE, now=datetime.now(UTC))

    def happen(self, *event_types: str, scope: str = "", **content: Any) -> None:
        with in_schema_of(self.owner):
            for event_type in event_types:
                announce(
                    Event(event_type=event_type, content=content, scope_path=scope), actor=SCENE, at=datetime.now(UTC)
                )

    def visit(self) -> None:
        """What the worker does when this one is due: hand out, and deliver to each receiver."""
        for subscription_id in hand_out_events(tag=self.owner.tag, has_time=lambda: True):
            deliver(tag=self.owner.tag, subscription_id=subscription_id, has_time=lambda: True)

    def deliveries(self, **wanted: Any) -> list[WebhookDelivery]:
        with in_schema_of(self.owner):
            return list(WebhookDelivery.objects.filter(**wanted).order_by("pk"))

    def again(self, subscription: WebhookSubscription) -> WebhookSubscription:
        with in_schema_of(self.owner):
            return WebhookSubscription.objects.get(pk=subscription.pk)

    def hurry(self) -> None:
        """Time passes: whatever waits for its next attempt is due."""
        with in_schema_of(self.owner):
            WebhookDelivery.objects.update(next_attempt_at=datetime.now(UTC))
            WebhookSubscription.objects.update(quiet_until=None)

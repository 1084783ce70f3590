"""The base of every view of webhooks and events: whose they are, and in which schema they lie.

A subscription's id carries its owner's tag, so one of another tenant is unknown without a query.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from django.db import transaction

from accounts.keys.api.views import KeyedView, Refusals
from accounts.keys.selectors.keys import verified_key
from budgets.api.management.refusals import REFUSALS, conflict, scope_forbidden
from budgets.services.guards import books_held, require_tenant_not_closed
from kernel.actor import Actor
from kernel.http.errors import error_of_status, invalid_request
from kernel.http.serialized import Fields, Integer, Text
from kernel.ids import PLATFORM_TAG, parse_wire_id
from telemetry.event_owner import PLATFORM, Owner
from telemetry.selectors.events import wire_time
from telemetry.selectors.webhooks import subscription_by_id
from telemetry.services.webhooks.addresses import InvalidUrl, require_reachable
from telemetry.services.webhooks.rules import address_rules
from telemetry.services.webhooks.subscriptions import (
    InvalidWebhook,
    SubscriptionNotFound,
    TooManySubscriptions,
    subscription_id,
)
from tenants.selectors.directory import tenant_by_slug, tenant_by_tag
from tenants.services.webhook_visits import in_schema_of

if TYPE_CHECKING:
    from telemetry.models import WebhookSubscription

TAG: Final = "webhooks"
LIMIT_MAX: Final = 100
NOT_FOUND: Final = "NOT_FOUND: no such tenant or subscription, or not the key's own."
CLOSED: Final = "TENANT_CLOSED: it is closed, and stays so."
_MASK: Final = "***"


class WirePageQuery(Fields):
    """Which page of a list."""

    limit = Integer(min_value=1, max_value=LIMIT_MAX, default=50)
    cursor = Text(max_length=4096, required=False)


class WebhookView(KeyedView):
    refusals: ClassVar[Refusals] = {
        **REFUSALS,
        InvalidWebhook: lambda refusal: invalid_request(f"{refusal.field} {refusal}.", field=refusal.field),
        SubscriptionNotFound: lambda _: error_of_status(404),
        TooManySubscriptions: lambda _: conflict("There are 100 subscriptions already. Delete one of them."),
    }

    def require_whole_tenant(self) -> None:
        """Refuses with 403 a key that is confined to some scopes: a subscription hears of all of them."""
        if self.caller.key.scope_filter:
            raise scope_forbidden()

    def owner_by_slug(self, slug: str | None) -> Owner:
        """A tenant key's own tenant, for a platform key the one that it names. Refuses with 400 or 404."""
        self.require_whole_tenant()
        if not self.caller.is_platform:
            tenant = tenant_by_tag(self.caller.tag)
            if slug is not None and (tenant is None or tenant.slug != slug):
                raise invalid_request("tenant must be the key's own, or left out.", field="tenant")
        elif slug is None:
            raise invalid_request(
                "tenant query parameter is required when using admin key authentication.", field="tenant"
            )
        else:
            tenant = tenant_by_slug(slug)
        if tenant is None or not tenant.has_books:
            raise error_of_status(404)
        return Owner(tag=tenant.tag, tenant_id=tenant.slug)

    def owner_by_id(self, text: str) -> tuple[Owner, UUID]:
        """Whose subscription it is, and its key there. Refuses with 404."""
        self.require_whole_tenant()
        wire = parse_wire_id("whsub", text)
        if wire is None or (not self.caller.is_platform and wire.tag != self.caller.tag):
            raise error_of_status(404)
        if wire.tag == PLATFORM_TAG:
            return PLATFORM, wire.uuid
        tenant = tenant_by_tag(wire.tag)
        if tenant is None:
            raise error_of_status(404)
        return Owner(tag=tenant.tag, tenant_id=tenant.slug), wire.uuid

    def found(self, text: str) -> tuple[Owner, "WebhookSubscription"]:
        """The subscription. Refuses with 404."""
        owner, pk = self.owner_by_id(text)
        with in_schema_of(owner):
            subscription = subscription_by_id(pk)
        if subscription is None:
            raise error_of_status(404)
        return owner, subscription

    @contextmanager
    def changing(self, owner: Owner) -> Iterator[tuple[Actor, datetime]]:
        """Run a block in the owner's schema, in one transaction; of a tenant's it holds the ledger head.

        Refuses with 401 a key revoked meanwhile, with 409 a closed tenant.
        """
        with in_schema_of(owner):
            if owner.is_platform:
                with transaction.atomic():
                    yield self.actor(), datetime.now(UTC)
                return
            with books_held():
                require_tenant_not_closed()
                if not self.caller.is_platform and verified_key(self.caller.parsed) is None:
                    raise error_of_status(401)
                yield self.actor(on_behalf=True), datetime.now(UTC)


def require_url(values: dict[str, Any]) -> None:
    """Refuses with 400 an address that nothing is sent to. Before any transaction: it may look a name up."""
    if "url" not in values:
        return
    try:
        require_reachable(values["url"], address_rules())
    except InvalidUrl as refusal:
        raise invalid_request(f"url {refusal}.", field="url") from None


def webhook_facts(subscription: "WebhookSubscription", owner: Owner) -> dict[str, Any]:
    """A subscription as the protocol has it; what is unset is left out."""
    facts: dict[str, Any] = {
        "subscription_id": subscription_id(subscription, owner),
        "tenant_id": owner.tenant_id,
        "url": subscription.url,
        "event_types": subscription.event_types,
        "event_categories": subscription.event_categories,
        "status": subscription.status,
        "retry_policy": {
            "max_retries": subscription.max_retries,
            "initial_delay_ms": subscription.initial_delay_ms,
            "backoff_multiplier": subscription.backoff_multiplier,
            "max_delay_ms": subscription.max_delay_ms,
        },
        "disable_after_failures": subscription.disable_after_failures,
        "consecutive_failures": subscription.consecutive_failures,
        "created_at": wire_time(subscription.created_at),
        "updated_at": wire_time(subscription.updated_at),
    }
    for name in ("name", "description", "scope_filter", "thresholds", "metadata"):
        if value := getattr(subscription, name):
            facts[name] = value
    for name in ("last_triggered_at", "last_success_at", "last_failure_at"):
        if at := getattr(subscription, name):
            facts[name] = wire_time(at)
    if subscription.header_names:
        facts["headers"] = dict.fromkeys(subscription.header_names, _MASK)
    return facts

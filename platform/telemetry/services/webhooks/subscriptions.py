"""Making, changing and ending subscriptions, in the schema that the connection is in: a tenant's, or the platform's.

Whoever calls has found out that the tenant is not closed, and that the address leads where it may
(`addresses.require_reachable`), because looking a name up takes time that no transaction should wait for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from kernel.actor import Actor
from kernel.ids import mint_wire_id
from telemetry.event_owner import Owner
from telemetry.models import WebhookSubscription
from telemetry.selectors.webhooks import SUBSCRIPTIONS_MAX
from telemetry.services import audit, outbox
from telemetry.services.webhooks.addresses import shown_url
from telemetry.services.webhooks.checks import InvalidWebhook, require_valid
from telemetry.services.webhooks.secrets import mint_signing_secret, seal_headers, seal_secret
from telemetry.webhook_states import WebhookStatus

__all__ = [
    "InvalidWebhook",
    "IssuedSubscription",
    "NewSubscription",
    "SubscriptionNotFound",
    "TooManySubscriptions",
    "become",
    "create_subscription",
    "delete_subscription",
    "update_subscription",
]

#: For so long after a change of the secret the one before signs too.
OVERLAP: Final = timedelta(hours=24)
#: Columns that are set as they are given.
_PLAIN: Final = (
    *("name", "description", "url", "event_types", "event_categories", "scope_filter", "thresholds", "metadata"),
    *("max_retries", "initial_delay_ms", "backoff_multiplier", "max_delay_ms", "disable_after_failures"),
)


class SubscriptionNotFound(Exception):
    """No subscription with this id here."""


class TooManySubscriptions(Exception):
    """There are `SUBSCRIPTIONS_MAX` already: each event is compared with all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """What is asked for. `secret` None: one is made. `retry` holds columns of the retry policy that are not default."""

    url: str
    event_types: Sequence[str]
    event_categories: Sequence[str] = ()
    scope_filter: str = ""
    name: str = ""
    description: str = ""
    secret: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    retry: Mapping[str, Any] = field(default_factory=dict)
    disable_after_failures: int = 10
    thresholds: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class IssuedSubscription:
    """A subscription with its signing secret, which is shown once."""

    subscription: WebhookSubscription
    secret: str = field(repr=False)


def create_subscription(new: NewSubscription, *, owner: Owner, actor: Actor, now: datetime) -> IssuedSubscription:
    """Raises `InvalidWebhook` or `TooManySubscriptions`."""
    secret = mint_signing_secret() if new.secret is None else new.secret
    subscription = WebhookSubscription(
        name=new.name,
        description=new.description,
        url=new.url,
        event_types=sorted(set(new.event_types)),
        event_categories=sorted(set(new.event_categories)),
        scope_filter=new.scope_filter.lower(),
        thresholds=new.thresholds,
        metadata=new.metadata,
        secret=seal_secret(secret),
        headers=seal_headers(new.headers),
        header_names=sorted(new.headers),
        disable_after_failures=new.disable_after_failures,
        created_at=now,
        updated_at=now,
        listens_since=now,
        **new.retry,
    )
    require_valid(subscription, owner=owner, secret=secret, headers=new.headers)
    with transaction.atomic():
        if WebhookSubscription.objects.count() >= SUBSCRIPTIONS_MAX:
            raise TooManySubscriptions
        subscription.save(force_insert=True)
        _tell(
            subscription,
            "webhook.created",
            f"webhook_create:{subscription_id(subscription, owner)}",
            owner=owner,
            actor=actor,
            now=now,
            after=_facts(subscription),
            new_status=subscription.status,
        )
    return IssuedSubscription(subscription=subscription, secret=secret)


def update_subscription(
    pk: UUID, changes: Mapping[str, Any], *, owner: Owner, actor: Actor, now: datetime
) -> WebhookSubscription:
    """Set what `changes` names: columns, and `status`, `secret`, `headers`. Nothing changed, nothing told.

    A new secret leaves the one before signing for `OVERLAP`. Made ACTIVE again it hears of what happens from now on,
    and what waited for it is sent. Raises `SubscriptionNotFound` or `InvalidWebhook`.
    """
    with transaction.atomic():
        subscription = _locked(pk)
        before, facts_before = subscription.status, _facts(subscription)
        changed = _apply(subscription, changes, now=now)
        status = WebhookStatus(changes.get("status", before))
        if not changed and status == before:
            return subscription
        require_valid(subscription, owner=owner, secret=changes.get("secret"), headers=changes.get("headers"))
        subscription.updated_at = now
        event_type = "webhook.updated"
        if status != before:
            become(subscription, status, now=now)
            event_type = "webhook.resumed" if status == WebhookStatus.ACTIVE else "webhook.paused"
        subscription.save(force_update=True)
        _tell(
            subscription,
            event_type,
            f"webhook_update:{subscription_id(subscription, owner)}:{actor.request_id}",
            owner=owner,
            actor=actor,
            now=now,
            before=facts_before,
            after=_facts(subscription) | {"changed_fields": changed},
            previous_status=before,
            new_status=status,
            changed_fields=changed,
        )
    return subscription


def delete_subscription(pk: UUID, *, owner: Owner, actor: Actor, now: datetime) -> None:
    """For good, with its deliveries; what waits is never sent. Raises `SubscriptionNotFound`."""
    with transaction.atomic():
        subscription = _locked(pk)
        _tell(
            subscription,
            "webhook.deleted",
            f"webhook_delete:{subscription_id(subscription, owner)}",
            owner=owner,
            actor=actor,
            now=now,
            before=_facts(subscription),
            previous_status=subscription.status,
        )
        subscription.delete()


def subscription_id(subscription: WebhookSubscription, owner: Owner) -> str:
    """The id that callers see."""
    return mint_wire_id("whsub", owner.tag, subscription.id)


def _apply(subscription: WebhookSubscription, changes: Mapping[str, Any], *, now: datetime) -> list[str]:
    """Set the new values; the names of what differs, in the order of the alphabet."""
    changed = []
    for name in _PLAIN:
        if name not in changes:
            continue
        value = changes[name]
        if name in {"event_types", "event_categories"}:
            value = sorted(set(value))
        elif name == "scope_filter":
            value = value.lower()
        if value != getattr(subscription, name):
            setattr(subscription, name, value)
            changed.append(name)
    if "secret" in changes:
        subscription.previous_secret, subscription.previous_secret_until = subscription.secret, now + OVERLAP
        subscription.secret = seal_secret(changes["secret"])
        changed.append("signing_secret")
    if "headers" in changes:
        subscription.headers = seal_headers(changes["headers"])
        subscription.header_names = sorted(changes["headers"])
        changed.append("headers")
    return sorted(changed)


def become(subscription: WebhookSubscription, status: WebhookStatus, *, now: datetime) -> None:
    """Set the status and what goes with it; not saved here."""
    subscription.status, subscription.status_reason = status, ""
    if status == WebhookStatus.ACTIVE:
        subscription.listens_since, subscription.quiet_until = now, None
        subscription.consecutive_failures = 0


def _locked(pk: UUID) -> WebhookSubscription:
    subscription = WebhookSubscription.objects.select_for_update().filter(pk=pk).first()
    if subscription is None:
        raise SubscriptionNotFound(str(pk))
    return subscription


def _facts(subscription: WebhookSubscription) -> dict[str, Any]:
    """What the audit trail keeps: no secret, of headers their names alone, and so of the URL's query."""
    names = ("name", "event_types", "event_categories", "scope_filter", "status", "header_names")
    return {name: getattr(subscription, name) for name in names} | {"url": shown_url(subscription.url)}


def _tell(
    subscription: WebhookSubscription,
    event_type: str,
    correlation_id: str,
    *,
    owner: Owner,
    actor: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **content: Any,
) -> None:
    wire_id = subscription_id(subscription, owner)
    audit.record(actor=actor, action=event_type, target=wire_id, at=now, before=before, after=after)
    event = outbox.Event(
        event_type=event_type,
        content={"subscription_id": wire_id, "tenant_id": owner.tenant_id, **content},
        correlation_id=correlation_id,
    )
    outbox.announce(event, actor=actor, at=now)

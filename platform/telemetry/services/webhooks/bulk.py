"""One act on many subscriptions of one owner, in one transaction: what the protocol calls a bulk action.

Said once in the audit trail, with what became of each; and that entry is also what makes a request that comes twice
harmless: whoever asks with the same key within a quarter of an hour is answered from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import QuerySet

from kernel.actor import Actor
from telemetry.event_owner import Owner
from telemetry.models import AuditEntry, WebhookSubscription
from telemetry.services import audit, outbox
from telemetry.services.webhooks.subscriptions import become, subscription_id
from telemetry.webhook_states import WebhookStatus

#: The protocol's own limit.
MATCHED_MAX: Final = 500
REMEMBERED: Final = timedelta(minutes=15)
ACTION: Final = "webhook.bulk_action"
#: Of one owner alone: nobody waits for the act of another.
_TURN: Final = "SELECT pg_advisory_xact_lock(1651861611, hashtext(current_schema()))"


class BulkAction(StrEnum):
    """What is done to each."""

    PAUSE = "PAUSE"
    RESUME = "RESUME"
    DELETE = "DELETE"


class CountMismatch(Exception):
    """Another number of subscriptions matches than was expected; the exception's text is the number."""


class TooManyMatched(Exception):
    """More than `MATCHED_MAX` match; the exception's text is the number."""


class KeyUsedOtherwise(Exception):
    """The idempotency key belongs to another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """`asked` is the filter as the caller wrote it, and `matching` what it means, in the owner's schema."""

    action: BulkAction
    asked: Mapping[str, Any]
    matching: QuerySet[WebhookSubscription]
    expected_count: int | None
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """By the protocol's ids. `failed` were left as they are: what is disabled is not resumed together with others."""

    total: int
    succeeded: Sequence[str]
    failed: Sequence[str]
    skipped: Sequence[str]


def act_on_many(wanted: BulkRequest, *, owner: Owner, actor: Actor, now: datetime) -> BulkOutcome:
    """All in one transaction, or the remembered outcome of the same request.

    Raises `CountMismatch`, `TooManyMatched` or `KeyUsedOtherwise`, each before anything is done.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Of two requests with one key the second finds the entry of the first.
            cursor.execute(_TURN)
        if (known := _remembered(wanted, now=now)) is not None:
            return known
        found = list(wanted.matching.select_for_update().order_by("id"))
        if wanted.expected_count is not None and wanted.expected_count != len(found):
            raise CountMismatch(str(len(found)))
        if len(found) > MATCHED_MAX:
            raise TooManyMatched(str(len(found)))
        outcome = _act(wanted.action, found, owner=owner, actor=actor, now=now)
        facts = {
            "action": wanted.action,
            "filter": dict(wanted.asked),
            "idempotency_key": wanted.idempotency_key,
            "total_matched": outcome.total,
            "succeeded": outcome.succeeded,
            "failed": outcome.failed,
            "skipped": outcome.skipped,
        }
        audit.record(actor=actor, action=ACTION, target=f"webhooks:{owner.tenant_id}", at=now, after=facts)
    return outcome


def _remembered(wanted: BulkRequest, *, now: datetime) -> BulkOutcome | None:
    entries = AuditEntry.objects.filter(
        at__gt=now - REMEMBERED, action=ACTION, after__idempotency_key=wanted.idempotency_key
    )
    entry = entries.order_by("-at").first()
    if entry is None or entry.after is None:
        return None
    if (entry.after["action"], entry.after["filter"]) != (wanted.action, dict(wanted.asked)):
        raise KeyUsedOtherwise
    names = ("total_matched", "succeeded", "failed", "skipped")
    return BulkOutcome(*(entry.after[name] for name in names))


def _act(
    action: BulkAction, found: Sequence[WebhookSubscription], *, owner: Owner, actor: Actor, now: datetime
) -> BulkOutcome:
    succeeded, failed, skipped, events = [], [], [], []
    for subscription in found:
        before, wire_id = WebhookStatus(subscription.status), subscription_id(subscription, owner)
        if action == BulkAction.RESUME and before == WebhookStatus.DISABLED:
            failed.append(wire_id)
            continue
        if before in _THERE_ALREADY[action]:
            skipped.append(wire_id)
            continue
        content: dict[str, Any] = {"subscription_id": wire_id, "tenant_id": owner.tenant_id, "previous_status": before}
        if action == BulkAction.DELETE:
            subscription.delete()
        else:
            become(subscription, _BECOMES[action], now=now)
            subscription.updated_at = now
            subscription.save(force_update=True)
            content["new_status"] = subscription.status
        succeeded.append(wire_id)
        correlation_id = f"webhook_bulk_action:{action.lower()}:{actor.request_id}"
        events.append(outbox.Event(event_type=_EVENTS[action], content=content, correlation_id=correlation_id))
    outbox.announce_all(events, actor=actor, at=now)
    return BulkOutcome(len(found), succeeded, failed, skipped)


_BECOMES: Final = {BulkAction.PAUSE: WebhookStatus.PAUSED, BulkAction.RESUME: WebhookStatus.ACTIVE}
_THERE_ALREADY: Final[Mapping[BulkAction, frozenset[WebhookStatus]]] = {
    # What was disabled hears of nothing already.
    BulkAction.PAUSE: frozenset({WebhookStatus.PAUSED, WebhookStatus.DISABLED}),
    BulkAction.RESUME: frozenset({WebhookStatus.ACTIVE}),
    BulkAction.DELETE: frozenset(),
}
_EVENTS: Final = {
    BulkAction.PAUSE: "webhook.paused",
    BulkAction.RESUME: "webhook.resumed",
    BulkAction.DELETE: "webhook.deleted",
}

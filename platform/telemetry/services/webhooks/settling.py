"""Writing down what became of attempts, and what follows for the receiver."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from kernel.actor import Actor
from kernel.sql_files import read_sql
from telemetry.event_names import DELIVERY_FAILED
from telemetry.event_owner import Owner
from telemetry.models import WebhookSubscription
from telemetry.services import audit, outbox
from telemetry.services.webhooks.outcomes import Outcome
from telemetry.services.webhooks.subscriptions import subscription_id
from telemetry.webhook_states import DeliveryStatus, WebhookStatus

_ACTOR: Final = Actor(name="webhooks", actor_type="system")
#: What an operator reads of a receiver's failures at most.
_ERROR_LENGTH_MAX: Final = 300
#: Nobody is asked again sooner, whatever the subscription's own delays are.
_QUIET_MIN: Final = timedelta(seconds=1)


def settle(seen: WebhookSubscription, outcomes: Sequence[Outcome], *, owner: Owner) -> None:
    """In one transaction: the deliveries, the receiver's counters, and, if it failed too often, its end."""
    if not outcomes:
        return
    with transaction.atomic():
        subscription = WebhookSubscription.objects.select_for_update().filter(pk=seen.pk).first()
        if subscription is None:
            return
        _write(outcomes)
        for outcome in outcomes:
            _count(subscription, outcome)
        subscription.save(
            update_fields=[
                *("consecutive_failures", "last_triggered_at", "last_success_at", "last_failure_at", "quiet_until")
            ]
        )
        for outcome in outcomes:
            if outcome.is_given_up:
                _tell_given_up(subscription, outcome, owner)
        _disable_if_hopeless(subscription, outcomes, owner)


def _count(subscription: WebhookSubscription, outcome: Outcome) -> None:
    subscription.last_triggered_at = outcome.attempted_at
    if outcome.status == DeliveryStatus.SUCCESS:
        subscription.consecutive_failures, subscription.quiet_until = 0, None
        subscription.last_success_at = outcome.attempted_at
        return
    subscription.last_failure_at = outcome.attempted_at
    subscription.consecutive_failures += outcome.is_given_up
    if outcome.answered is None:
        soonest = outcome.attempted_at + _QUIET_MIN
        subscription.quiet_until = max(outcome.next_attempt_at or soonest, soonest)


def _write(outcomes: Sequence[Outcome]) -> None:
    answers = [outcome.answered for outcome in outcomes]
    parameters: dict[str, Any] = {
        "ids": [outcome.delivery.pk for outcome in outcomes],
        "statuses": [outcome.status.value for outcome in outcomes],
        "attempted_at": [outcome.attempted_at for outcome in outcomes],
        "completed_at": [
            None if outcome.status == DeliveryStatus.RETRYING else outcome.attempted_at for outcome in outcomes
        ],
        "next_attempt_at": [outcome.next_attempt_at for outcome in outcomes],
        "response_statuses": [answer and answer.status for answer in answers],
        "response_times_ms": [answer and answer.took_ms for answer in answers],
        "errors": [outcome.error[:_ERROR_LENGTH_MAX] for outcome in outcomes],
    }
    with connection.cursor() as cursor:
        cursor.execute(read_sql("telemetry", "settle_deliveries"), parameters)


def _tell_given_up(subscription: WebhookSubscription, outcome: Outcome, owner: Owner) -> None:
    # Of its own failure a receiver would be told for ever.
    if outcome.delivery.event_type == DELIVERY_FAILED:
        return
    wire_id = subscription_id(subscription, owner)
    content = {
        "component": "webhook_dispatcher",
        "details": {"subscription_id": wire_id, "event_type": outcome.delivery.event_type, "error": outcome.error},
    }
    event = outbox.Event(event_type=DELIVERY_FAILED, content=content, correlation_id=f"webhook_delivery:{wire_id}")
    outbox.announce(event, actor=_ACTOR, at=datetime.now(UTC))


def _disable_if_hopeless(subscription: WebhookSubscription, outcomes: Sequence[Outcome], owner: Owner) -> None:
    is_gone = any(outcome.is_gone for outcome in outcomes)
    has_failed_too_often = subscription.consecutive_failures >= subscription.disable_after_failures
    if subscription.status == WebhookStatus.DISABLED or not (is_gone or has_failed_too_often):
        return
    reason = "receiver_gone" if is_gone else "consecutive_failures_exceeded_threshold"
    now, before, wire_id = datetime.now(UTC), subscription.status, subscription_id(subscription, owner)
    subscription.status, subscription.status_reason, subscription.updated_at = WebhookStatus.DISABLED, reason, now
    subscription.save(update_fields=["status", "status_reason", "updated_at"])
    audit.record(
        actor=_ACTOR,
        action="webhook.disabled",
        target=wire_id,
        at=now,
        before={"status": before},
        after={"status": WebhookStatus.DISABLED, "reason": reason},
    )
    content = {
        "subscription_id": wire_id,
        "tenant_id": owner.tenant_id,
        "previous_status": before,
        "new_status": WebhookStatus.DISABLED,
        "disable_reason": reason,
    }
    last = outcomes[-1].delivery.pk
    event = outbox.Event(
        event_type="webhook.disabled", content=content, correlation_id=f"webhook_auto_disable:{wire_id}:{last}"
    )
    outbox.announce(event, actor=_ACTOR, at=now)

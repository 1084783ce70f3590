"""What an attempt means: delivered, to be tried again and when, or given up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from telemetry.models import WebhookDelivery, WebhookSubscription
from telemetry.services.webhooks.wire import Answered, NoAnswer
from telemetry.webhook_states import DeliveryStatus

GONE: Final = 410
#: A receiver may ask for so much patience and no more.
_RETRY_AFTER_S_MAX: Final = 3_600
#: A delay is drawn from this part of itself below to this part above, so that receivers are not hit in waves.
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt. `next_attempt_at` is set while it is to be tried again."""

    delivery: WebhookDelivery
    status: DeliveryStatus
    attempted_at: datetime
    next_attempt_at: datetime | None = None
    answered: Answered | None = None
    error: str = ""

    @property
    def is_given_up(self) -> bool:
        return self.status == DeliveryStatus.FAILED

    @property
    def is_gone(self) -> bool:
        """The receiver said that it will never take anything again."""
        return self.answered is not None and self.answered.status == GONE


def outcome_of(
    result: Answered | NoAnswer,
    *,
    delivery: WebhookDelivery,
    subscription: WebhookSubscription,
    now: datetime,
    chance: float,
) -> Outcome:
    """`chance`, from 0 to 1, places the next attempt within its jitter."""
    answered = result if isinstance(result, Answered) else None
    if answered is not None and answered.is_success:
        return Outcome(delivery=delivery, status=DeliveryStatus.SUCCESS, attempted_at=now, answered=answered)
    error = str(result) if answered is None else f"The receiver answered {answered.status}."
    attempts = delivery.attempts + 1
    is_last = attempts > subscription.max_retries or (answered is not None and answered.status == GONE)
    if is_last:
        return Outcome(
            delivery=delivery, status=DeliveryStatus.FAILED, attempted_at=now, answered=answered, error=error
        )
    wait = delay_after(attempts, subscription=subscription, chance=chance)
    if answered is not None and answered.retry_after_s is not None:
        wait = max(wait, timedelta(seconds=min(answered.retry_after_s, _RETRY_AFTER_S_MAX)))
    return Outcome(
        delivery=delivery,
        status=DeliveryStatus.RETRYING,
        attempted_at=now,
        next_attempt_at=now + wait,
        answered=answered,
        error=error,
    )


def delay_after(attempts: int, *, subscription: WebhookSubscription, chance: float) -> timedelta:
    """How long to wait after so many attempts: each time longer, up to the most that the subscription allows."""
    delay_ms = min(
        subscription.initial_delay_ms * subscription.backoff_multiplier ** (attempts - 1), subscription.max_delay_ms
    )
    return timedelta(milliseconds=delay_ms * (1 - _JITTER + 2 * _JITTER * chance))

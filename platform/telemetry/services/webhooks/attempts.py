"""Sending some deliveries to their receiver, over one connection."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from telemetry.event_owner import Owner
from telemetry.models import OutboxEvent, WebhookDelivery, WebhookSubscription
from telemetry.selectors.events import event_body
from telemetry.selectors.webhooks import event_id_of
from telemetry.services.webhooks.addresses import InvalidUrl, read_url
from telemetry.services.webhooks.outcomes import Outcome, outcome_of
from telemetry.services.webhooks.rules import address_rules
from telemetry.services.webhooks.secrets import SecretLost, open_headers, open_secret
from telemetry.services.webhooks.signing import Message, signed_headers
from telemetry.services.webhooks.wire import Answered, NoAnswer, Receiver
from telemetry.webhook_states import DeliveryStatus

#: After it what was sent is written down, so that a death in between repeats little.
_SECONDS_MAX: Final = 0.5


def attempt(
    subscription: WebhookSubscription,
    due: Sequence[WebhookDelivery],
    *,
    owner: Owner,
    has_time: Callable[[], bool],
    chance: Callable[[], float],
) -> list[Outcome]:
    """Send these in their order. After one that got no answer the others wait: nobody is there."""
    outcomes: list[Outcome] = []
    bodies = _bodies(due, owner)
    ends_at = monotonic() + _SECONDS_MAX
    with Sender(subscription) as sender:
        for delivery in due:
            now = datetime.now(UTC)
            body = bodies.get(delivery.pk)
            if body is None:
                gone = "The event is not kept any more."
                outcomes.append(Outcome(delivery=delivery, status=DeliveryStatus.FAILED, attempted_at=now, error=gone))
                continue
            result = sender.send(
                event_id=event_id_of(delivery, owner),
                event_type=delivery.event_type,
                body=body,
                trace_id=delivery.trace_id,
                now=now,
            )
            outcomes.append(outcome_of(result, delivery=delivery, subscription=subscription, now=now, chance=chance()))
            if isinstance(result, NoAnswer) or monotonic() > ends_at or not has_time():
                break
    return outcomes


class Sender:
    """Signs and posts to one receiver. Used by `with`."""

    __slots__ = ("_custom", "_receiver", "_refusal", "_secrets", "_until")

    def __init__(self, subscription: WebhookSubscription) -> None:
        self._receiver: Receiver | None = None
        self._refusal = ""
        self._until = subscription.previous_secret_until
        try:
            rules = address_rules()
            endpoint = read_url(subscription.url, rules)
            self._secrets = [open_secret(subscription.secret)]
            if subscription.previous_secret:
                self._secrets.append(open_secret(subscription.previous_secret))
            self._custom = open_headers(subscription.headers)
        except InvalidUrl as refusal:
            self._refusal = f"The URL {refusal}."
        except SecretLost:
            self._refusal = "The signing secret cannot be read any more: set a new one."
        else:
            self._receiver = Receiver(endpoint, rules)

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        if self._receiver is not None:
            self._receiver.close()

    def send(self, *, event_id: str, event_type: str, body: str, trace_id: str, now: datetime) -> Answered | NoAnswer:
        """One attempt; what came of it is returned, never raised."""
        if self._receiver is None:
            return NoAnswer(self._refusal)
        message = Message(
            event_id=event_id,
            event_type=event_type,
            body=body.encode(),
            trace_id=trace_id,
            span_id=os.urandom(8).hex(),
        )
        is_overlap = self._until is not None and now < self._until
        secrets = self._secrets if is_overlap else self._secrets[:1]
        try:
            return self._receiver.post(
                message.body, signed_headers(message, secrets=secrets, at=now, custom=self._custom)
            )
        except NoAnswer as nothing:
            return nothing


def _bodies(due: Sequence[WebhookDelivery], owner: Owner) -> dict[int, str]:
    """What to send, by the delivery; one whose event is not kept any more is left out."""
    events = OutboxEvent.objects.in_bulk([delivery.event_id for delivery in due if delivery.body is None])
    bodies = {delivery.pk: delivery.body for delivery in due if delivery.body is not None}
    for delivery in due:
        if (event := events.get(delivery.event_id)) is not None:
            bodies.setdefault(delivery.pk, event_body(event, owner))
    return bodies

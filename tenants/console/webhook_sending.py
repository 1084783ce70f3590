"""What is sent to a webhook because somebody says so: a test message, events again, one event again."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.console.pages import page
from accounts.roles import Act
from telemetry.services.webhooks.ping import note_ping, ping
from telemetry.services.webhooks.replay import (
    DeliveryNotFound,
    NotListening,
    ReplayInProgress,
    TooManyEvents,
    Window,
    replay_events,
    send_again,
)
from tenants.console.webhook_forms import ReasonForm, ReplayForm
from tenants.console.webhook_side import CLOSED, Side, name_of
from tenants.services.webhook_due import lower_due

_REFUSALS = {
    NotListening: "It is paused or disabled, so nothing would be sent. Resume it first.",
    ReplayInProgress: "An earlier replay to it has not ended. Wait for it.",
    TooManyEvents: "There are more events than that. Choose a shorter while, or allow more.",
}
_KINDS = tuple(_REFUSALS)


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_ping(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    """Takes as long as the receiver, ten seconds at most."""
    side = Side(request)
    subscription = side.subscription(webhook_id)
    form = ReasonForm(_sent(request))
    if request.method == "POST" and form.is_valid() and not side.is_closed:
        now = datetime.now(UTC)
        with side.schema():
            note_ping(subscription, owner=side.owner, actor=side.place.actor(form.cleaned_data["reason"]), now=now)
        done = ping(subscription, owner=side.owner, now=now)
        if done.is_success:
            said = f"It answered {done.response_status} after {done.response_time_ms} ms."
            messages.success(request, f"The test message has arrived. {said}")
        else:
            messages.error(request, f"The test message was not taken. {done.error}")
        return redirect(side.url("webhook_detail", webhook_id))
    if side.is_closed and form.is_bound:
        form.add_error(None, CLOSED)
    context = {
        "title": f"Test {name_of(subscription)}",
        "words": "One system.webhook_test is sent at once, signed like every event. It counts neither way.",
        "button": "Send the test message",
    }
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_replay(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    side = Side(request)
    subscription = side.subscription(webhook_id)
    form = ReplayForm(_sent(request))
    if request.method == "POST" and form.is_valid():
        now = datetime.now(UTC)
        window = Window(since=now - form.reach if form.reach else None, events_max=form.cleaned_data["max_events"])
        try:
            with side.schema():
                actor = side.place.actor(form.cleaned_data["reason"])
                replay = replay_events(webhook_id, window, owner=side.owner, actor=actor, now=now)
        except _KINDS as refusal:
            form.add_error(None, _REFUSALS[type(refusal)])
        else:
            lower_due(tag=side.owner.tag, at=now)
            plural = "" if replay.events == 1 else "s"
            messages.success(request, f"{replay.events} event{plural} will be sent again, in order.")
            return redirect(side.url("webhook_detail", webhook_id))
    context = {
        "title": f"Replay to {name_of(subscription)}",
        "words": "The events that it asks for are sent again, in their order and with their ids.",
        "button": "Send them again",
    }
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_again(request: HttpRequest, webhook_id: UUID, delivery_id: int, slug: str = "") -> HttpResponse:
    side = Side(request)
    subscription = side.subscription(webhook_id)
    form = ReasonForm(_sent(request))
    if request.method == "POST" and form.is_valid():
        now = datetime.now(UTC)
        actor = side.place.actor(form.cleaned_data["reason"])
        try:
            with side.schema():
                send_again(webhook_id, delivery_id=delivery_id, owner=side.owner, actor=actor, now=now)
        except DeliveryNotFound:
            raise Http404 from None
        except _KINDS as refusal:
            form.add_error(None, _REFUSALS[type(refusal)])
        else:
            lower_due(tag=side.owner.tag, at=now)
            messages.success(request, "The event will be sent again in a moment.")
            return redirect(side.url("webhook_detail", webhook_id))
    context = {
        "title": f"Send again to {name_of(subscription)}",
        "words": "This one event is sent again, with its id.",
        "button": "Send it again",
    }
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


def _sent(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None

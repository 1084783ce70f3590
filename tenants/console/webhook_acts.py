"""What is done with webhooks: made, edited, paused, resumed, given another secret, deleted. Each by a form."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_variables

from accounts.console.pages import page
from accounts.roles import Act
from telemetry.services.webhooks.addresses import InvalidUrl, require_reachable
from telemetry.services.webhooks.rules import address_rules
from telemetry.services.webhooks.secrets import mint_signing_secret
from telemetry.services.webhooks.subscriptions import (
    InvalidWebhook,
    NewSubscription,
    TooManySubscriptions,
    create_subscription,
    delete_subscription,
    update_subscription,
)
from telemetry.webhook_states import WebhookStatus
from tenants.console.webhook_forms import ReasonForm, WebhookForm
from tenants.console.webhook_side import CLOSED, Side, name_of

_RETRY = "max_retries"


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
@sensitive_variables("issued")
def webhook_new(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The form; sent, the page with the secret, once. Sent again it makes another subscription."""
    side = Side(request)
    form = WebhookForm(_sent(request), is_platform=side.owner.is_platform)
    if _is_good(request, form, side) and _is_reachable(form):
        columns = form.columns()
        new = NewSubscription(retry={_RETRY: columns.pop(_RETRY)}, **columns)
        actor = side.place.actor(form.cleaned_data["reason"])
        try:
            with side.schema():
                issued = create_subscription(new, owner=side.owner, actor=actor, now=datetime.now(UTC))
        except InvalidWebhook as refusal:
            _refuse(form, refusal)
        except TooManySubscriptions:
            form.add_error(None, "There are 100 webhooks already. Delete one of them first.")
        else:
            return _secret(request, side, issued.subscription.pk, issued.secret, "Webhook added")
    context = {
        "title": "New webhook",
        "words": "Events are posted to this address, signed with a secret that the page that follows shows once.",
        "button": "Add the webhook",
    }
    return side.act_page(request, form, context, back=side.url("webhooks"))


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_edit(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    side = Side(request)
    before = side.subscription(webhook_id)
    names = ("name", "url", "event_types", "event_categories", "scope_filter", _RETRY, "disable_after_failures")
    initial = {name: getattr(before, name) for name in names}
    form = WebhookForm(_sent(request), is_platform=side.owner.is_platform, initial=initial)
    if _is_good(request, form, side) and _is_reachable(form):
        try:
            _update(side, webhook_id, form, form.columns())
        except InvalidWebhook as refusal:
            _refuse(form, refusal)
        else:
            messages.success(request, f"{name_of(before)} is as you say from the next event on.")
            return redirect(side.url("webhook_detail", webhook_id))
    context = {"title": f"Edit {name_of(before)}", "button": "Save the webhook"}
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_pause(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    """Safe to repeat."""
    context = {
        "title": "Pause {name}",
        "words": "What happens while it is paused is not kept for it. What waits for it now is sent once it resumes.",
        "button": "Pause the webhook",
        "is_stop": True,
    }
    return _become(request, webhook_id, WebhookStatus.PAUSED, context, "{name} is paused.")


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_resume(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    """Safe to repeat."""
    context = {
        "title": "Resume {name}",
        "words": "It hears of what happens from now on, and gets what waited for it. Replay what it missed.",
        "button": "Resume the webhook",
    }
    return _become(request, webhook_id, WebhookStatus.ACTIVE, context, "{name} hears of what happens from now on.")


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
@sensitive_variables("secret")
def webhook_rotate(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    """Not safe to repeat: each time another secret is made, and the one before it signs for a day."""
    side = Side(request)
    before = side.subscription(webhook_id)
    form = ReasonForm(_sent(request))
    if _is_good(request, form, side):
        secret = mint_signing_secret()
        _update(side, webhook_id, form, {"secret": secret})
        return _secret(request, side, webhook_id, secret, "Signing secret changed")
    context = {
        "title": f"Change the secret of {name_of(before)}",
        "words": "The next page shows the new secret once. For 24 hours both secrets sign, so that nothing is missed.",
        "button": "Make a new secret",
    }
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


@page(Act.EDIT_WEBHOOKS, send=Act.EDIT_WEBHOOKS)
def webhook_delete(request: HttpRequest, webhook_id: UUID, slug: str = "") -> HttpResponse:
    side = Side(request)
    before = side.subscription(webhook_id)
    form = ReasonForm(_sent(request))
    if _is_good(request, form, side):
        actor = side.place.actor(form.cleaned_data["reason"])
        with side.schema():
            delete_subscription(webhook_id, owner=side.owner, actor=actor, now=datetime.now(UTC))
        messages.success(request, f"{name_of(before)} is deleted. What waited for it is not sent.")
        return redirect(side.url("webhooks"))
    context = {
        "title": f"Delete {name_of(before)}",
        "words": "It goes with the record of its deliveries, and what waits for it is not sent. Nothing undoes this.",
        "button": "Delete the webhook",
        "is_stop": True,
    }
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


def _become(
    request: HttpRequest, webhook_id: UUID, status: WebhookStatus, context: dict[str, Any], done: str
) -> HttpResponse:
    side = Side(request)
    before = side.subscription(webhook_id)
    name = name_of(before)
    form = ReasonForm(_sent(request))
    if _is_good(request, form, side):
        _update(side, webhook_id, form, {"status": status})
        messages.success(request, done.replace("{name}", name))
        return redirect(side.url("webhook_detail", webhook_id))
    context["title"] = context["title"].replace("{name}", name)
    return side.act_page(request, form, context, back=side.url("webhook_detail", webhook_id))


def _update(side: Side, webhook_id: UUID, form: forms.Form, changes: dict[str, Any]) -> None:
    actor = side.place.actor(form.cleaned_data["reason"])
    with side.schema():
        update_subscription(webhook_id, changes, owner=side.owner, actor=actor, now=datetime.now(UTC))


def _is_good(request: HttpRequest, form: forms.Form, side: Side) -> bool:
    if request.method != "POST" or not form.is_valid():
        return False
    if side.is_closed:
        form.add_error(None, CLOSED)
    return not side.is_closed


def _is_reachable(form: forms.Form) -> bool:
    # Before any transaction: it may look a name up.
    try:
        require_reachable(form.cleaned_data["url"], address_rules())
    except InvalidUrl as refusal:
        form.add_error("url", f"It {refusal}.")
        return False
    return True


def _refuse(form: forms.Form, refusal: InvalidWebhook) -> None:
    form.add_error(refusal.field if refusal.field in form.fields else None, f"It {refusal}.")


def _secret(request: HttpRequest, side: Side, webhook_id: UUID, secret: str, title: str) -> HttpResponse:
    context = {"title": title, "secret": secret, "back": side.url("webhook_detail", webhook_id)}
    return render(request, "tenants/webhook_secret.html", side.context() | context)


def _sent(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None

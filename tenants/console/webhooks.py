"""`…/webhooks/`: who is told of events, what became of that, and the outbox that they wait in."""

from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.console.pages import page
from accounts.roles import Act
from kernel.pages.fragments import wants_fragment
from telemetry.selectors.outbox import WAITING_COUNTED_MAX, event_page, waiting_count
from telemetry.selectors.webhooks import delivery_page, subscription_lines
from telemetry.services.webhooks.addresses import shown_url
from telemetry.webhook_states import DeliveryStatus, WebhookStatus
from tenants.console.webhook_side import Side, name_of

_LINES_PER_PAGE: Final = 50
_LENGTH_MAX: Final = 100
_STATES: Final = {"waiting": False, "handed-out": True}
_TONES: Final = {
    WebhookStatus.ACTIVE: ("Active", "good"),
    WebhookStatus.PAUSED: ("Paused", "calm"),
    WebhookStatus.DISABLED: ("Disabled", "bad"),
}
_DELIVERY_TONES: Final = {
    DeliveryStatus.PENDING: ("Waiting", "info"),
    DeliveryStatus.RETRYING: ("Retrying", "warn"),
    DeliveryStatus.SUCCESS: ("Delivered", "good"),
    DeliveryStatus.FAILED: ("Given up", "bad"),
}
_REASONS: Final = {
    "consecutive_failures_exceeded_threshold": "It failed too often in a row.",
    "receiver_gone": "The receiver answered 410: it is gone for good.",
    "tenant_closed": "The tenant was closed.",
}


@page(Act.SEE_BOOKS)
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    return _list(request)


@page(Act.SEE_PLATFORM)
def platform_webhooks(request: HttpRequest) -> HttpResponse:
    return _list(request)


@page(Act.SEE_BOOKS)
def webhook_detail(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    return _detail(request, webhook_id)


@page(Act.SEE_PLATFORM)
def platform_webhook_detail(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    return _detail(request, webhook_id)


def _list(request: HttpRequest) -> HttpResponse:
    """Four queries in the owner's schema."""
    side = Side(request)
    state = request.GET.get("state", "")
    event_type = request.GET.get("type", "").replace("\0", "").strip()[:_LENGTH_MAX]
    with side.schema():
        lines = subscription_lines()
        found = event_page(
            is_delivered=_STATES.get(state),
            event_type=event_type,
            before=_number(request.GET.get("before", "")),
            limit=_LINES_PER_PAGE,
        )
        waiting = waiting_count()
    context = side.context() | {
        "here": side.url("webhooks"),
        "new": side.url("webhook_new"),
        "receivers": [
            (
                line,
                name_of(line.subscription),
                _TONES[WebhookStatus(line.subscription.status)],
                side.url("webhook_detail", line.subscription.pk),
            )
            for line in lines
        ],
        "lines": found.lines,
        "waiting": waiting,
        "is_waiting_cut": waiting >= WAITING_COUNTED_MAX,
        "state": state if state in _STATES else "",
        "event_type": event_type,
        "next_before": found.next_before or "",
        "is_filtered": bool(state in _STATES or event_type or "before" in request.GET),
    }
    return render(request, wants_fragment(request, "tenants/webhooks.html", "events"), context)


def _detail(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Two queries in the owner's schema."""
    side = Side(request)
    subscription = side.subscription(webhook_id)
    state = request.GET.get("state", "")
    wanted = DeliveryStatus(state) if state in DeliveryStatus.values else None
    with side.schema():
        found = delivery_page(
            webhook_id, status=wanted, before=_number(request.GET.get("before", "")), limit=_LINES_PER_PAGE
        )
    acts = ("edit", "pause", "resume", "ping", "replay", "rotate", "delete")
    context = side.context() | {
        "webhook": subscription,
        "leads_to": shown_url(subscription.url),
        "name": name_of(subscription),
        "chip": _TONES[WebhookStatus(subscription.status)],
        "why": _REASONS.get(subscription.status_reason, ""),
        "here": side.url("webhook_detail", webhook_id),
        "back": side.url("webhooks"),
        "urls": {act: side.url(f"webhook_{act}", webhook_id) for act in acts},
        "is_closed": side.is_closed,
        "rows": [
            (line, _DELIVERY_TONES[DeliveryStatus(line.status)], side.url("webhook_again", webhook_id, line.pk))
            for line in found.lines
        ],
        "states": [(value, words) for value, (words, _) in _DELIVERY_TONES.items()],
        "state": wanted or "",
        "next_before": found.next_before or "",
        "is_filtered": bool(wanted or "before" in request.GET),
    }
    return render(request, wants_fragment(request, "tenants/webhook_detail.html", "deliveries"), context)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None

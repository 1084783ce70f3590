"""Addresses of the protocol's management endpoints, below `/v1/`."""

from django.urls import path

from budgets.api.audit.logs import AuditLogs
from budgets.api.webhooks.bulk import AdminWebhookBulk
from budgets.api.webhooks.deliveries import AdminDeliveries, AdminWebhookTest, Deliveries, WebhookTest
from budgets.api.webhooks.events import AdminEvents, AdminOneEvent, Events
from budgets.api.webhooks.replays import AdminWebhookReplay, WebhookReplay
from budgets.api.webhooks.security import WebhookSecurity
from budgets.api.webhooks.subscriptions import AdminOneWebhook, AdminWebhooks, OneWebhook, Webhooks

_ONE = "webhooks/<str:subscription_id>"
_ANY = "admin/webhooks/<str:subscription_id>"

urlpatterns = [
    path("webhooks", Webhooks.as_view(), name="webhooks"),
    path(_ONE, OneWebhook.as_view(), name="webhook"),
    path(f"{_ONE}/test", WebhookTest.as_view(), name="webhook_test"),
    path(f"{_ONE}/deliveries", Deliveries.as_view(), name="webhook_deliveries"),
    path(f"{_ONE}/replay", WebhookReplay.as_view(), name="webhook_replay"),
    path("events", Events.as_view(), name="events"),
    path("admin/webhooks", AdminWebhooks.as_view(), name="any_webhooks"),
    path("admin/webhooks/bulk-action", AdminWebhookBulk.as_view(), name="any_webhooks_bulk"),
    path(_ANY, AdminOneWebhook.as_view(), name="any_webhook"),
    path(f"{_ANY}/test", AdminWebhookTest.as_view(), name="any_webhook_test"),
    path(f"{_ANY}/deliveries", AdminDeliveries.as_view(), name="any_webhook_deliveries"),
    path(f"{_ANY}/replay", AdminWebhookReplay.as_view(), name="any_webhook_replay"),
    path("admin/config/webhook-security", WebhookSecurity.as_view(), name="webhook_security"),
    path("admin/audit/logs", AuditLogs.as_view(), name="any_audit"),
    path("admin/events", AdminEvents.as_view(), name="any_events"),
    path("admin/events/<str:event_id>", AdminOneEvent.as_view(), name="any_event"),
]

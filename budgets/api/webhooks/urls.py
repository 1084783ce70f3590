"""Addresses of the protocol's management endpoints, below `/v1/`."""

from django.urls import path

from budgets.api.webhooks.deliveries import AdminDeliveries, AdminWebhookTest, Deliveries, WebhookTest
from budgets.api.webhooks.subscriptions import AdminOneWebhook, AdminWebhooks, OneWebhook, Webhooks

_ONE = "webhooks/<str:subscription_id>"
_ANY = "admin/webhooks/<str:subscription_id>"

urlpatterns = [
    path("webhooks", Webhooks.as_view(), name="webhooks"),
    path(_ONE, OneWebhook.as_view(), name="webhook"),
    path(f"{_ONE}/test", WebhookTest.as_view(), name="webhook_test"),
    path(f"{_ONE}/deliveries", Deliveries.as_view(), name="webhook_deliveries"),
    path("admin/webhooks", AdminWebhooks.as_view(), name="any_webhooks"),
    path(_ANY, AdminOneWebhook.as_view(), name="any_webhook"),
    path(f"{_ANY}/test", AdminWebhookTest.as_view(), name="any_webhook_test"),
    path(f"{_ANY}/deliveries", AdminDeliveries.as_view(), name="any_webhook_deliveries"),
]

"""Addresses of pages about the directory of tenants; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from tenants.console.audit import audit, audit_export, platform_audit, platform_audit_export
from tenants.console.credential_acts import credential_new, credential_revoke, credential_rotate
from tenants.console.credentials import credential_list, credentials
from tenants.console.search import platform_search, tenant_search
from tenants.console.system import system
from tenants.console.webhook_acts import (
    webhook_delete,
    webhook_edit,
    webhook_new,
    webhook_pause,
    webhook_resume,
    webhook_rotate,
)
from tenants.console.webhook_sending import webhook_again, webhook_ping, webhook_replay
from tenants.console.webhooks import platform_webhook_detail, platform_webhooks, webhook_detail, webhooks

_WEBHOOK = "webhooks/<uuid:webhook_id>/"


def _webhook_acts(prefix: str = "") -> list[URLPattern]:
    """A tenant's, and with a prefix to their names the platform's own."""
    return [
        path("webhooks/new/", webhook_new, name=f"{prefix}webhook_new"),
        path(f"{_WEBHOOK}edit/", webhook_edit, name=f"{prefix}webhook_edit"),
        path(f"{_WEBHOOK}pause/", webhook_pause, name=f"{prefix}webhook_pause"),
        path(f"{_WEBHOOK}resume/", webhook_resume, name=f"{prefix}webhook_resume"),
        path(f"{_WEBHOOK}test/", webhook_ping, name=f"{prefix}webhook_ping"),
        path(f"{_WEBHOOK}replay/", webhook_replay, name=f"{prefix}webhook_replay"),
        path(f"{_WEBHOOK}secret/", webhook_rotate, name=f"{prefix}webhook_rotate"),
        path(f"{_WEBHOOK}delete/", webhook_delete, name=f"{prefix}webhook_delete"),
        path(f"{_WEBHOOK}<int:delivery_id>/again/", webhook_again, name=f"{prefix}webhook_again"),
    ]


ops: list[URLPattern] = [
    path("search/", platform_search, name="search"),
    path("audit/", platform_audit, name="audit"),
    path("audit.csv", platform_audit_export, name="audit_export"),
    path("webhooks/", platform_webhooks, name="webhooks"),
    path(_WEBHOOK, platform_webhook_detail, name="platform_webhook_detail"),
    *_webhook_acts("platform_"),
    path("credentials/", credentials, name="credentials"),
    path("system/", system, name="system"),
]
books: list[URLPattern] = [
    path("search/", tenant_search, name="search"),
    path("audit/", audit, name="audit"),
    path("audit.csv", audit_export, name="audit_export"),
    path("webhooks/", webhooks, name="webhooks"),
    path(_WEBHOOK, webhook_detail, name="webhook_detail"),
    *_webhook_acts(),
    path("credentials/", credential_list, name="credential_list"),
    path("credentials/new/", credential_new, name="credential_new"),
    path("credentials/<uuid:reference_id>/rotate/", credential_rotate, name="credential_rotate"),
    path("credentials/<uuid:reference_id>/revoke/", credential_revoke, name="credential_revoke"),
]

"""Addresses of pages about the directory of tenants; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from tenants.console.audit import audit, audit_export, platform_audit, platform_audit_export
from tenants.console.credential_acts import credential_new, credential_revoke, credential_rotate
from tenants.console.credentials import credential_list, credentials
from tenants.console.search import platform_search, tenant_search
from tenants.console.system import system
from tenants.console.webhooks import platform_webhooks, webhooks

ops: list[URLPattern] = [
    path("search/", platform_search, name="search"),
    path("audit/", platform_audit, name="audit"),
    path("audit.csv", platform_audit_export, name="audit_export"),
    path("webhooks/", platform_webhooks, name="webhooks"),
    path("credentials/", credentials, name="credentials"),
    path("system/", system, name="system"),
]
books: list[URLPattern] = [
    path("search/", tenant_search, name="search"),
    path("audit/", audit, name="audit"),
    path("audit.csv", audit_export, name="audit_export"),
    path("webhooks/", webhooks, name="webhooks"),
    path("credentials/", credential_list, name="credential_list"),
    path("credentials/new/", credential_new, name="credential_new"),
    path("credentials/<uuid:reference_id>/rotate/", credential_rotate, name="credential_rotate"),
    path("credentials/<uuid:reference_id>/revoke/", credential_revoke, name="credential_revoke"),
]

"""Addresses of pages about the directory of tenants; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from tenants.console.audit import audit, audit_export, platform_audit, platform_audit_export
from tenants.console.search import platform_search, tenant_search
from tenants.console.system import system
from tenants.console.webhooks import platform_webhooks, webhooks

ops: list[URLPattern] = [
    path("search/", platform_search, name="search"),
    path("audit/", platform_audit, name="audit"),
    path("audit.csv", platform_audit_export, name="audit_export"),
    path("webhooks/", platform_webhooks, name="webhooks"),
    path("system/", system, name="system"),
]
books: list[URLPattern] = [
    path("search/", tenant_search, name="search"),
    path("audit/", audit, name="audit"),
    path("audit.csv", audit_export, name="audit_export"),
    path("webhooks/", webhooks, name="webhooks"),
]

"""Addresses of pages about budgets, decisions and spend; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from budgets.console import books_urls, cost_urls, evidence_urls
from budgets.console.decisions import decision_detail, decision_list
from budgets.console.denials import denial_list
from budgets.console.live import live
from budgets.console.member_overview import books_overview
from budgets.console.overview import overview
from budgets.console.platform_stopping import platform_lift, platform_stop, platform_stops
from budgets.console.stopping import tenant_resume, tenant_stop
from budgets.console.switch_pages import switch_lift, switch_list, switch_throw
from budgets.console.tenant_bulk import tenant_bulk
from budgets.console.tenant_life import tenant_close, tenant_new
from budgets.console.tenant_list import tenant_export, tenant_list

ops: list[URLPattern] = [
    *cost_urls.ops,
    *books_urls.ops,
    *evidence_urls.ops,
    path("", overview, name="overview"),
    path("stops/", platform_stops, name="platform_stops"),
    path("stops/new/", platform_stop, name="platform_stop"),
    path("stops/lift/", platform_lift, name="platform_lift"),
    path("live/", live, name="live"),
    path("denials/", denial_list, name="denial_list"),
    path("tenants/", tenant_list, name="tenant_list"),
    path("tenants.csv", tenant_export, name="tenant_export"),
    # Not below tenants/: "new" and "bulk" are names that a tenant may have.
    path("tenant/new/", tenant_new, name="tenant_new"),
    path("tenant/bulk/", tenant_bulk, name="tenant_bulk"),
]
books: list[URLPattern] = [
    *cost_urls.books,
    *books_urls.books,
    *evidence_urls.books,
    path("", books_overview, name="overview"),
    path("stop/", tenant_stop, name="tenant_stop"),
    path("resume/", tenant_resume, name="tenant_resume"),
    path("close/", tenant_close, name="tenant_close"),
    path("switches/", switch_list, name="switch_list"),
    path("switches/throw/", switch_throw, name="switch_throw"),
    path("switches/lift/", switch_lift, name="switch_lift"),
    path("decisions/", decision_list, name="decision_list"),
    path("decisions/<str:wire_id>/", decision_detail, name="decision_detail"),
]

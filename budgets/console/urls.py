"""Addresses of pages about budgets, decisions and spend; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from budgets.console.decisions import decision_detail, decision_list
from budgets.console.denials import denial_list
from budgets.console.overview import overview
from budgets.console.tenants import tenant_detail, tenant_list

ops: list[URLPattern] = [
    path("", overview, name="overview"),
    path("denials/", denial_list, name="denial_list"),
    path("tenants/", tenant_list, name="tenant_list"),
]
books: list[URLPattern] = [
    path("", tenant_detail, name="overview"),
    path("decisions/", decision_list, name="decision_list"),
    path("decisions/<str:wire_id>/", decision_detail, name="decision_detail"),
]

"""Addresses under `/ops/`; the gate before them is `accounts.console.gate`."""

from django.urls import path

from budgets.console.decisions import decision_detail, decision_list
from budgets.console.denials import denial_list
from budgets.console.overview import overview
from budgets.console.tenants import tenant_detail, tenant_list

app_name = "ops"
urlpatterns = [
    path("", overview, name="overview"),
    path("denials/", denial_list, name="denial_list"),
    path("tenants/", tenant_list, name="tenant_list"),
    path("tenants/<str:slug>/", tenant_detail, name="tenant_detail"),
    path("tenants/<str:slug>/decisions/", decision_list, name="decision_list"),
    path("decisions/<str:wire_id>/", decision_detail, name="decision_detail"),
]

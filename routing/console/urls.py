"""Addresses of pages about prices, plans, routes and policies; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from routing.console.limits import limits
from routing.console.plan_change import plan_change
from routing.console.plan_publishing import plan_new, plan_version_new
from routing.console.plans import plan_detail, plan_fit, plan_list
from routing.console.policies import policy_detail, policy_edit, policy_restore
from routing.console.tenant_routing import routing

ops: list[URLPattern] = [
    path("plans/", plan_list, name="plan_list"),
    path("plans/new/", plan_new, name="plan_new"),
    path("plans/<str:code>/", plan_detail, name="plan_detail"),
    path("plans/<str:code>/new/", plan_version_new, name="plan_version_new"),
    path("plans/<str:code>/fit/", plan_fit, name="plan_fit"),
]
books: list[URLPattern] = [
    path("limits/", limits, name="limits"),
    path("limits/plan/", plan_change, name="plan_change"),
    path("routing/", routing, name="routing"),
    path("routing/<str:kind>/", policy_detail, name="policy_detail"),
    path("routing/<str:kind>/edit/", policy_edit, name="policy_edit"),
    path("routing/<str:kind>/restore/<int:version>/", policy_restore, name="policy_restore"),
]

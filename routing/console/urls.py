"""Addresses of pages about prices, plans, routes and policies; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from routing.console.capacity import capacity, pool_set
from routing.console.invoices import reconciliation_file, reconciliation_upload
from routing.console.limits import limits
from routing.console.plan_change import plan_change
from routing.console.plan_publishing import plan_new, plan_version_new
from routing.console.planner import planner
from routing.console.plans import plan_detail, plan_fit, plan_list
from routing.console.policies import policy_detail, policy_edit, policy_restore
from routing.console.price_deciding import price_decision, price_import
from routing.console.prices import price_history, price_list, price_proposals
from routing.console.routes import router_accuracy, routes
from routing.console.shadow import shadow, shadow_end
from routing.console.shadow_limits import shadow_limits
from routing.console.shadow_list import ops_shadow
from routing.console.tenant_routing import router, routing
from routing.console.tools import tool_policies

ops: list[URLPattern] = [
    path("plans/", plan_list, name="plan_list"),
    path("plans/new/", plan_new, name="plan_new"),
    path("plans/<str:code>/", plan_detail, name="plan_detail"),
    path("plans/<str:code>/new/", plan_version_new, name="plan_version_new"),
    path("plans/<str:code>/fit/", plan_fit, name="plan_fit"),
    path("prices/", price_list, name="price_list"),
    path("prices/history/", price_history, name="price_history"),
    path("prices/proposals/", price_proposals, name="price_proposals"),
    path("prices/import/", price_import, name="price_import"),
    path("prices/decision/", price_decision, name="price_decision"),
    path("tools/", tool_policies, name="tool_policies"),
    path("routes/", routes, name="routes"),
    path("routes/planner/", planner, name="planner"),
    path("routes/accuracy/", router_accuracy, name="router_accuracy"),
    path("capacity/", capacity, name="capacity"),
    path("capacity/set/", pool_set, name="pool_set"),
    path("shadow/", ops_shadow, name="shadow"),
]
books: list[URLPattern] = [
    path("limits/", limits, name="limits"),
    path("limits/plan/", plan_change, name="plan_change"),
    path("routing/", routing, name="routing"),
    path("routing/router/", router, name="router"),
    path("routing/<str:kind>/", policy_detail, name="policy_detail"),
    path("routing/<str:kind>/edit/", policy_edit, name="policy_edit"),
    path("routing/<str:kind>/restore/<int:version>/", policy_restore, name="policy_restore"),
    path("shadow/", shadow, name="shadow"),
    path("reconciliations/upload/", reconciliation_upload, name="reconciliation_upload"),
    path("reconciliations/<uuid:reconciliation_id>/file/", reconciliation_file, name="reconciliation_file"),
    path("shadow/limits/", shadow_limits, name="shadow_limits"),
    path("shadow/enforce/", shadow_end, name="shadow_end"),
]

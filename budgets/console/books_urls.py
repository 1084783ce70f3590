"""Addresses of pages about one tenant's books: budgets, requests, runs, denials, keys, the start."""

from django.urls import URLPattern, path

from budgets.console.alert_acts import alert_resolve, alert_snooze
from budgets.console.alert_channels import (
    alert_channel_list,
    alert_channel_new,
    alert_channel_remove,
    alert_channel_switch,
    alert_channel_test,
)
from budgets.console.alert_settings import (
    alert_budget_rule,
    alert_budget_rule_drop,
    alert_rule_edit,
    alert_rule_list,
)
from budgets.console.alerts import alert_list
from budgets.console.asking import request_decline, request_grant, request_list, request_list_of_all, request_new
from budgets.console.budgets import budget_export, budget_list
from budgets.console.keeping import keeping, keeping_edit
from budgets.console.keys import key_list, key_new, key_revoke, key_revoke_all, key_rotate
from budgets.console.moving import budget_move, budget_move_line, budget_move_undo
from budgets.console.raising import budget_raise
from budgets.console.runs import run_detail, run_entries, run_export, run_list
from budgets.console.start import start, start_seen
from budgets.console.tenant_denials import tenant_denial_export, tenant_denial_list

ops: list[URLPattern] = [
    path("requests/", request_list_of_all, name="request_list"),
]
books: list[URLPattern] = [
    path("budgets/", budget_list, name="budget_list"),
    path("budgets/export/", budget_export, name="budget_export"),
    path("budgets/move/", budget_move, name="budget_move"),
    path("budgets/move/line/", budget_move_line, name="budget_move_line"),
    path("budgets/move/<int:seq>/undo/", budget_move_undo, name="budget_move_undo"),
    path("requests/", request_list, name="request_list"),
    path("requests/new/", request_new, name="request_new"),
    path("requests/<uuid:request_id>/grant/", request_grant, name="request_grant"),
    path("requests/<uuid:request_id>/decline/", request_decline, name="request_decline"),
    path("runs/", run_list, name="run_list"),
    path("runs/<path:run_id>/entries/", run_entries, name="run_entries"),
    path("runs/<path:run_id>/ledger/", run_export, name="run_export"),
    path("runs/<path:run_id>/", run_detail, name="run_detail"),
    path("keys/", key_list, name="key_list"),
    path("keys/new/", key_new, name="key_new"),
    path("keys/revoke-all/", key_revoke_all, name="key_revoke_all"),
    path("keys/<str:key_id>/rotate/", key_rotate, name="key_rotate"),
    path("keys/<str:key_id>/revoke/", key_revoke, name="key_revoke"),
    path("budgets/<uuid:budget_id>/raise/", budget_raise, name="budget_raise"),
    path("keeping/", keeping, name="keeping"),
    path("keeping/<str:kind>/", keeping_edit, name="keeping_edit"),
    path("denials/", tenant_denial_list, name="denial_list"),
    path("denials/export/", tenant_denial_export, name="denial_export"),
    path("alerts/", alert_list, name="alert_list"),
    path("alerts/rules/", alert_rule_list, name="alert_rule_list"),
    path("alerts/rules/<str:alert_kind>/", alert_rule_edit, name="alert_rule_edit"),
    path("alerts/channels/", alert_channel_list, name="alert_channel_list"),
    path("alerts/channels/new/", alert_channel_new, name="alert_channel_new"),
    path("alerts/channels/<uuid:channel_id>/test/", alert_channel_test, name="alert_channel_test"),
    path("alerts/channels/<uuid:channel_id>/switch/", alert_channel_switch, name="alert_channel_switch"),
    path("alerts/channels/<uuid:channel_id>/remove/", alert_channel_remove, name="alert_channel_remove"),
    path("alerts/budgets/<uuid:budget_id>/", alert_budget_rule, name="alert_budget_rule"),
    path("alerts/budgets/<uuid:budget_id>/drop/", alert_budget_rule_drop, name="alert_budget_rule_drop"),
    path("alerts/<uuid:alert_id>/snooze/", alert_snooze, name="alert_snooze"),
    path("alerts/<uuid:alert_id>/resolve/", alert_resolve, name="alert_resolve"),
    path("start/", start, name="start"),
    path("start/seen/", start_seen, name="start_seen"),
]

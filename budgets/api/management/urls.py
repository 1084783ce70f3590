"""Addresses of tenants and their books, below `/api/v1/`."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from budgets.api.audit.trail import Trail
from budgets.api.management.alerts import AlertResolve, Alerts
from budgets.api.management.books import Decisions, Ledger, Reservations
from budgets.api.management.budgets import BudgetClose, BudgetFreeze, Budgets, BudgetUnfreeze, OneBudget
from budgets.api.management.corrections import ChargeCorrection
from budgets.api.management.funding import BudgetFund, Reallocations, ReallocationUndo
from budgets.api.management.keeping import Keeping
from budgets.api.management.keys import KeyRevoke, KeyRotate, Keys
from budgets.api.management.platform_switches import PlatformSwitches, PlatformSwitchLift
from budgets.api.management.run_templates import OneRunTemplate, RunTemplates
from budgets.api.management.shadow import RecommendedLimits, ShadowReport
from budgets.api.management.switches import TenantSwitches, TenantSwitchLift
from budgets.api.management.tenants import OneTenant, TenantClose, TenantResume, Tenants, TenantSuspend


class ScopeName(StringConverter):
    """A name as scope paths and slugs have it; anything else is no address of ours."""

    regex = r"[a-z0-9_.-]{1,128}"


class LedgerSeq(IntConverter):
    """A number of a ledger entry, 64 bits at most."""

    regex = r"[0-9]{1,18}"


register_converter(ScopeName, "name")
register_converter(LedgerSeq, "seq")

_TENANT = "tenants/<name:slug>"
_BUDGET = f"{_TENANT}/budgets/<uuid:budget_id>"

urlpatterns = [
    path("switches", PlatformSwitches.as_view(), name="platform_switches"),
    path("switches/lift", PlatformSwitchLift.as_view(), name="platform_switch_lift"),
    path("tenants", Tenants.as_view(), name="tenants"),
    path(_TENANT, OneTenant.as_view(), name="tenant"),
    path(f"{_TENANT}/suspend", TenantSuspend.as_view(), name="tenant_suspend"),
    path(f"{_TENANT}/resume", TenantResume.as_view(), name="tenant_resume"),
    path(f"{_TENANT}/close", TenantClose.as_view(), name="tenant_close"),
    path(f"{_TENANT}/switches", TenantSwitches.as_view(), name="tenant_switches"),
    path(f"{_TENANT}/switches/lift", TenantSwitchLift.as_view(), name="tenant_switch_lift"),
    path(f"{_TENANT}/keys", Keys.as_view(), name="keys"),
    path(f"{_TENANT}/keys/<slug:key_id>/rotate", KeyRotate.as_view(), name="key_rotate"),
    path(f"{_TENANT}/keys/<slug:key_id>/revoke", KeyRevoke.as_view(), name="key_revoke"),
    path(f"{_TENANT}/budgets", Budgets.as_view(), name="budgets"),
    path(_BUDGET, OneBudget.as_view(), name="budget"),
    path(f"{_BUDGET}/freeze", BudgetFreeze.as_view(), name="budget_freeze"),
    path(f"{_BUDGET}/unfreeze", BudgetUnfreeze.as_view(), name="budget_unfreeze"),
    path(f"{_BUDGET}/close", BudgetClose.as_view(), name="budget_close"),
    path(f"{_BUDGET}/fund", BudgetFund.as_view(), name="budget_fund"),
    path(f"{_TENANT}/reallocations", Reallocations.as_view(), name="reallocations"),
    path(f"{_TENANT}/reallocations/<seq:seq>/undo", ReallocationUndo.as_view(), name="reallocation_undo"),
    path(f"{_TENANT}/run-templates", RunTemplates.as_view(), name="run_templates"),
    path(f"{_TENANT}/run-templates/<name:name>", OneRunTemplate.as_view(), name="run_template"),
    path(f"{_TENANT}/reservations", Reservations.as_view(), name="reservations"),
    path(f"{_TENANT}/shadow", ShadowReport.as_view(), name="shadow_report"),
    path(f"{_TENANT}/shadow/limits", RecommendedLimits.as_view(), name="recommended_limits"),
    path(f"{_TENANT}/alerts", Alerts.as_view(), name="alerts"),
    path(f"{_TENANT}/alerts/<uuid:alert_id>/resolve", AlertResolve.as_view(), name="alert_resolve"),
    path(f"{_TENANT}/keeping", Keeping.as_view(), name="keeping"),
    path(f"{_TENANT}/decisions", Decisions.as_view(), name="decisions"),
    path(f"{_TENANT}/audit", Trail.as_view(), name="audit"),
    path(f"{_TENANT}/ledger", Ledger.as_view(), name="ledger"),
    path(f"{_TENANT}/ledger/<seq:seq>/correct", ChargeCorrection.as_view(), name="charge_correction"),
]

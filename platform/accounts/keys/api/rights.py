"""The one table of rights: what a key needs for each route and method of the management API.

A route that is not here is closed to everybody, and a test compares the table with the addresses.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from accounts.keys.models import Permission


class Right(NamedTuple):
    """What a platform key needs, and what a tenant's own key needs; None where no tenant's key is let through.

    `also` are more that the tenant's key needs, each of them.
    """

    platform: Permission
    tenant: Permission | None
    also: frozenset[Permission] = frozenset()


_PLATFORM_READS: Final = Right(Permission.PLATFORM_READ, None)
_PLATFORM_WRITES: Final = Right(Permission.PLATFORM_WRITE, None)
_BUDGETS_READ: Final = Right(Permission.PLATFORM_READ, Permission.BUDGETS_READ)
_BUDGETS_WRITE: Final = Right(Permission.PLATFORM_WRITE, Permission.BUDGETS_WRITE)
_KEYS_READ: Final = Right(Permission.PLATFORM_READ, Permission.KEYS_READ)
_KEYS_WRITE: Final = Right(Permission.PLATFORM_WRITE, Permission.KEYS_WRITE)
_POLICIES_READ: Final = Right(Permission.PLATFORM_READ, Permission.POLICIES_READ)
_POLICIES_WRITE: Final = Right(Permission.PLATFORM_WRITE, Permission.POLICIES_WRITE)
_RESERVATIONS_LIST: Final = Right(Permission.PLATFORM_READ, Permission.RESERVATIONS_LIST)
_EVENTS_READ: Final = Right(Permission.PLATFORM_READ, Permission.EVENTS_READ)
#: The trail says of each of these what it is and was.
_AUDIT_READ: Final = Right(
    Permission.PLATFORM_READ,
    Permission.EVENTS_READ,
    frozenset({Permission.BUDGETS_READ, Permission.KEYS_READ, Permission.POLICIES_READ, Permission.WEBHOOKS_READ}),
)
_WEBHOOKS_READ: Final = Right(Permission.PLATFORM_READ, Permission.WEBHOOKS_READ)
_WEBHOOKS_WRITE: Final = Right(Permission.PLATFORM_WRITE, Permission.WEBHOOKS_WRITE)

RIGHTS: Final[Mapping[tuple[str, str], Right]] = {
    ("platform_keys", "GET"): _PLATFORM_READS,
    ("platform_keys", "POST"): _PLATFORM_WRITES,
    ("platform_key_rotate", "POST"): _PLATFORM_WRITES,
    ("platform_key_revoke", "POST"): _PLATFORM_WRITES,
    ("plans", "GET"): _PLATFORM_READS,
    ("plans", "POST"): _PLATFORM_WRITES,
    ("plan_versions", "GET"): _PLATFORM_READS,
    ("pools", "GET"): _PLATFORM_READS,
    ("pools", "PUT"): _PLATFORM_WRITES,
    ("platform_switches", "GET"): _PLATFORM_READS,
    ("platform_switches", "POST"): _PLATFORM_WRITES,
    ("platform_switch_lift", "POST"): _PLATFORM_WRITES,
    ("tenants", "GET"): _PLATFORM_READS,
    ("tenants", "POST"): _PLATFORM_WRITES,
    ("tenant", "GET"): _BUDGETS_READ,
    ("tenant", "PATCH"): _PLATFORM_WRITES,
    ("tenant_suspend", "POST"): _PLATFORM_WRITES,
    ("tenant_resume", "POST"): _PLATFORM_WRITES,
    ("tenant_close", "POST"): _PLATFORM_WRITES,
    ("tenant_switches", "GET"): _BUDGETS_READ,
    ("tenant_switches", "POST"): _PLATFORM_WRITES,
    ("tenant_switch_lift", "POST"): _PLATFORM_WRITES,
    ("keys", "GET"): _KEYS_READ,
    ("keys", "POST"): _KEYS_WRITE,
    ("key_rotate", "POST"): _KEYS_WRITE,
    ("key_revoke", "POST"): _KEYS_WRITE,
    ("planner", "POST"): _POLICIES_WRITE,
    ("subscription", "GET"): _POLICIES_READ,
    ("subscription", "PUT"): _PLATFORM_WRITES,
    ("subscription_preview", "GET"): _POLICIES_READ,
    ("effective_limits", "GET"): _POLICIES_READ,
    # A policy may widen what the plan gives, so operators write them; their test box is for tenants too.
    ("policies", "GET"): _POLICIES_READ,
    ("policy", "GET"): _POLICIES_READ,
    ("policy", "PUT"): _PLATFORM_WRITES,
    ("policy_versions", "GET"): _POLICIES_READ,
    ("policy_restore", "POST"): _PLATFORM_WRITES,
    ("policy_trial", "POST"): _POLICIES_WRITE,
    ("budgets", "GET"): _BUDGETS_READ,
    ("budgets", "POST"): _BUDGETS_WRITE,
    ("budget", "GET"): _BUDGETS_READ,
    ("budget", "PATCH"): _BUDGETS_WRITE,
    ("budget_freeze", "POST"): _BUDGETS_WRITE,
    ("budget_unfreeze", "POST"): _BUDGETS_WRITE,
    ("budget_close", "POST"): _BUDGETS_WRITE,
    ("budget_fund", "POST"): _BUDGETS_WRITE,
    ("reallocations", "POST"): _BUDGETS_WRITE,
    ("reallocation_undo", "POST"): _BUDGETS_WRITE,
    ("run_templates", "GET"): _BUDGETS_READ,
    ("run_templates", "POST"): _BUDGETS_WRITE,
    ("run_template", "GET"): _BUDGETS_READ,
    ("run_template", "PATCH"): _BUDGETS_WRITE,
    ("run_template", "DELETE"): _BUDGETS_WRITE,
    ("reservations", "GET"): _RESERVATIONS_LIST,
    ("router", "GET"): _POLICIES_READ,
    ("router_labels", "POST"): _POLICIES_WRITE,
    ("router_training", "POST"): _POLICIES_WRITE,
    ("router_classification", "POST"): Right(Permission.PLATFORM_WRITE, Permission.RESERVATIONS_CREATE),
    ("shadow_report", "GET"): _POLICIES_READ,
    ("recommended_limits", "GET"): _POLICIES_READ,
    ("shadow_enforcement", "POST"): _POLICIES_WRITE,
    ("alerts", "GET"): _BUDGETS_READ,
    ("alert_resolve", "POST"): _BUDGETS_WRITE,
    ("keeping", "GET"): _POLICIES_READ,
    ("keeping", "PATCH"): _PLATFORM_WRITES,
    ("decisions", "GET"): _RESERVATIONS_LIST,
    ("audit", "GET"): _AUDIT_READ,
    ("ledger", "GET"): _BUDGETS_READ,
    ("charge_correction", "POST"): _PLATFORM_WRITES,
    ("charge_repricing", "POST"): _PLATFORM_WRITES,
    ("webhooks", "GET"): _WEBHOOKS_READ,
    ("webhooks", "POST"): _WEBHOOKS_WRITE,
    ("webhook", "GET"): _WEBHOOKS_READ,
    ("webhook", "PATCH"): _WEBHOOKS_WRITE,
    ("webhook", "DELETE"): _WEBHOOKS_WRITE,
    ("webhook_test", "POST"): _WEBHOOKS_WRITE,
    ("webhook_deliveries", "GET"): _WEBHOOKS_READ,
    ("webhook_replay", "POST"): _WEBHOOKS_WRITE,
    ("events", "GET"): _EVENTS_READ,
    ("any_webhooks", "GET"): _PLATFORM_READS,
    ("any_webhooks", "POST"): _PLATFORM_WRITES,
    ("any_webhooks_bulk", "POST"): _PLATFORM_WRITES,
    ("any_webhook", "GET"): _PLATFORM_READS,
    ("any_webhook", "PATCH"): _PLATFORM_WRITES,
    ("any_webhook", "DELETE"): _PLATFORM_WRITES,
    ("any_webhook_test", "POST"): _PLATFORM_WRITES,
    ("any_webhook_deliveries", "GET"): _PLATFORM_READS,
    ("any_webhook_replay", "POST"): _PLATFORM_WRITES,
    ("webhook_security", "GET"): _PLATFORM_READS,
    ("any_audit", "GET"): _PLATFORM_READS,
    ("any_events", "GET"): _PLATFORM_READS,
    ("any_event", "GET"): _PLATFORM_READS,
}


def right_to(route: str, method: str) -> Right | None:
    """What is needed, or None where nothing is open. HEAD needs what GET needs."""
    return RIGHTS.get((route, "GET" if method == "HEAD" else method))

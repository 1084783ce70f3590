"""The protocol's names of events, and who may hear of which.

Names of our own begin with `custom.`; they belong to the category that follows, or to `system`.
"""

from typing import Final

CATEGORIES: Final = ("budget", "tenant", "api_key", "policy", "reservation", "system", "webhook")
#: A tenant owns the address and the secret of its subscriptions, so only these may ever reach one of them.
TENANT_CATEGORIES: Final = frozenset({"budget", "reservation", "tenant"})
#: Sent by `ping` alone, straight to one receiver; no subscription asks for it.
TEST_EVENT: Final = "system.webhook_test"
DELIVERY_FAILED: Final = "system.webhook_delivery_failed"
CUSTOM: Final = "custom."
NAME_LENGTH_MAX: Final = 128

_NAMES: Final = {
    "budget": (
        "created updated funded debited reset reset_spent debt_repaid frozen unfrozen closed closed_via_tenant_cascade "
        "threshold_crossed exhausted over_limit_entered over_limit_exited debt_incurred burn_rate_anomaly"
    ),
    "reservation": ("denied denial_rate_spike expired expiry_rate_spike commit_overage released_via_tenant_cascade"),
    "tenant": "created updated suspended reactivated closed settings_changed",
    "webhook": "created updated paused resumed disabled deleted disabled_via_tenant_cascade",
    "api_key": (
        "created revoked revoked_via_tenant_cascade expired permissions_changed auth_failed auth_failure_rate_spike"
    ),
    "policy": "created updated deleted",
    "system": ("store_connection_lost store_connection_restored high_latency webhook_delivery_failed webhook_test"),
}
EVENT_TYPES: Final = tuple(f"{category}.{name}" for category, names in _NAMES.items() for name in names.split())
_KNOWN: Final = frozenset(EVENT_TYPES)


def category_of(event_type: str) -> str:
    """One of `CATEGORIES`; `system` for a name of our own that begins with none of them."""
    first = event_type.removeprefix(CUSTOM).partition(".")[0]
    return first if first in CATEGORIES else "system"


def wire_name(event_type: str) -> str:
    """The name as receivers see it: one that the protocol does not know begins with `custom.`."""
    return event_type if event_type in _KNOWN or event_type.startswith(CUSTOM) else CUSTOM + event_type


def is_event_type(text: str) -> bool:
    """A name of the protocol, or one that begins with `custom.`."""
    return text in _KNOWN or (text.startswith(CUSTOM) and len(CUSTOM) < len(text) <= NAME_LENGTH_MAX)


def is_for_tenants(event_type: str) -> bool:
    """Whether a tenant's own subscription may hear of it."""
    return category_of(event_type) in TENANT_CATEGORIES

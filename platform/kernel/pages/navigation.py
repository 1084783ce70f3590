"""The lines of the navigation, once for the column beside every page and for the search over them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from django.urls import NoReverseMatch


@dataclass(frozen=True, slots=True)
class NavLine:
    """`section` is what a page says it belongs to; `name` the address' name without its namespace."""

    section: str
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class NavGroup:
    title: str
    lines: tuple[NavLine, ...]


OPS_NAVIGATION: Final = (
    NavGroup(
        "Operate",
        (
            NavLine("overview", "overview", "Overview"),
            NavLine("live", "live", "Live tail"),
            NavLine("denials", "denial_list", "Denials"),
            NavLine("stops", "platform_stops", "Stops"),
            NavLine("capacity", "capacity", "Capacity"),
        ),
    ),
    NavGroup(
        "Govern",
        (
            NavLine("tenants", "tenant_list", "Tenants"),
            NavLine("requests", "request_list", "Requests"),
            NavLine("plans", "plan_list", "Plans"),
            NavLine("prices", "price_list", "Prices"),
            NavLine("tools", "tool_policies", "Tool policies"),
            NavLine("routes", "routes", "Routing"),
            NavLine("shadow", "shadow", "Shadow mode"),
        ),
    ),
    NavGroup(
        "Connect",
        (
            NavLine("webhooks", "webhooks", "Webhooks"),
            NavLine("credentials", "credentials", "Credential refs"),
            NavLine("evidence", "evidence", "Evidence"),
        ),
    ),
    NavGroup(
        "Records",
        (
            NavLine("audit", "audit", "Audit"),
            NavLine("reports", "reports", "Reports"),
            NavLine("operators", "operator_list", "Operators"),
            NavLine("system", "system", "System"),
        ),
    ),
)
#: The first group's title is the tenant's own name.
BOOKS_NAVIGATION: Final = (
    NavGroup(
        "",
        (
            NavLine("overview", "overview", "Overview"),
            NavLine("budgets", "budget_list", "Budgets"),
            NavLine("runs", "run_list", "Runs"),
            NavLine("denials", "denial_list", "Denials"),
            NavLine("usage", "usage", "Usage and cost"),
            NavLine("statements", "statement_list", "Statements"),
            NavLine("alerts", "alert_list", "Alerts"),
            NavLine("evidence", "evidence", "Evidence"),
        ),
    ),
    NavGroup(
        "Manage",
        (
            NavLine("keys", "key_list", "Agents and keys"),
            NavLine("limits", "limits", "Limits"),
            NavLine("members", "member_list", "Members"),
            NavLine("webhooks", "webhooks", "Webhooks"),
            NavLine("credentials", "credential_list", "Credential refs"),
            NavLine("audit", "audit", "Audit"),
            NavLine("start", "start", "Get started"),
        ),
    ),
)


def lines_with_addresses(group: NavGroup, *, address_of: Callable[[str], str]) -> Iterator[tuple[NavLine, str]]:
    """The lines whose page exists, with its address; the others are left out."""
    for line in group.lines:
        try:
            address = address_of(line.name)
        except NoReverseMatch:
            continue
        yield line, address

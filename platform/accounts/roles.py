"""Who may do what in the console: the one table of roles and acts. A page that names no act is closed to everybody."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from accounts.models.membership import MemberRole
from accounts.models.user import OperatorRole

__all__ = ["IMPERSONATOR_MAY", "MEMBER_MAY", "OPERATOR_MAY", "Act", "MemberRole", "OperatorRole"]


class Act(StrEnum):
    """Something that a person sees or does. Seeing never changes anything."""

    # Of the whole platform.
    SEE_PLATFORM = "see_platform"
    SEE_MARGIN = "see_margin"
    STOP_PLATFORM = "stop_platform"
    CREATE_TENANT = "create_tenant"
    EDIT_PLANS = "edit_plans"
    APPROVE_PRICES = "approve_prices"
    EDIT_CAPACITY = "edit_capacity"
    MANAGE_OPERATORS = "manage_operators"
    LEAVE_PLATFORM = "leave_platform"
    # Of one tenant.
    SEE_BOOKS = "see_books"
    SEE_KEYS = "see_keys"
    SEE_LIMITS = "see_limits"
    SEE_MEMBERS = "see_members"
    SEE_AUDIT = "see_audit"
    SEE_CREDENTIALS = "see_credentials"
    EXPORT = "export"
    STOP_TENANT = "stop_tenant"
    CHANGE_PLAN = "change_plan"
    EDIT_POLICIES = "edit_policies"
    EDIT_BUDGETS = "edit_budgets"
    MOVE_MONEY = "move_money"
    REQUEST_MONEY = "request_money"
    ANSWER_REQUESTS = "answer_requests"
    EDIT_KEYS = "edit_keys"
    REVOKE_ALL_KEYS = "revoke_all_keys"
    RECONCILE = "reconcile"
    EDIT_ALERTS = "edit_alerts"
    EDIT_WEBHOOKS = "edit_webhooks"
    EDIT_CREDENTIALS = "edit_credentials"
    MANAGE_MEMBERS = "manage_members"
    LEAVE_TENANT = "leave_tenant"
    CLOSE_TENANT = "close_tenant"
    IMPERSONATE = "impersonate"


_SEE: Final = frozenset(
    {
        Act.SEE_BOOKS,
        Act.SEE_KEYS,
        Act.SEE_LIMITS,
        Act.SEE_MEMBERS,
        Act.SEE_AUDIT,
        Act.SEE_CREDENTIALS,
        Act.EXPORT,
    }
)

# Whoever is in may go, and nobody but they themselves.
_OPERATOR_VIEWER: Final = _SEE | {Act.SEE_PLATFORM, Act.SEE_MARGIN, Act.LEAVE_PLATFORM}
_OPERATOR: Final = _OPERATOR_VIEWER | {
    Act.STOP_PLATFORM,
    Act.CREATE_TENANT,
    Act.APPROVE_PRICES,
    Act.EDIT_CAPACITY,
    Act.STOP_TENANT,
    Act.CHANGE_PLAN,
    Act.EDIT_POLICIES,
    Act.EDIT_BUDGETS,
    Act.MOVE_MONEY,
    Act.ANSWER_REQUESTS,
    Act.EDIT_KEYS,
    Act.RECONCILE,
    Act.EDIT_ALERTS,
    Act.EDIT_WEBHOOKS,
    Act.EDIT_CREDENTIALS,
    Act.IMPERSONATE,
}
_OPERATOR_OWNER: Final = _OPERATOR | {
    Act.EDIT_PLANS,
    Act.MANAGE_OPERATORS,
    Act.MANAGE_MEMBERS,
    Act.REVOKE_ALL_KEYS,
    Act.CLOSE_TENANT,
}

OPERATOR_MAY: Final[Mapping[OperatorRole, frozenset[Act]]] = MappingProxyType(
    {
        OperatorRole.VIEWER: _OPERATOR_VIEWER,
        OperatorRole.OPERATOR: _OPERATOR,
        OperatorRole.OWNER: _OPERATOR_OWNER,
    }
)

_MEMBER_VIEWER: Final = _SEE | {Act.LEAVE_TENANT}
_ADMIN: Final = _MEMBER_VIEWER | {
    Act.MOVE_MONEY,
    Act.REQUEST_MONEY,
    Act.EDIT_KEYS,
    Act.RECONCILE,
    Act.EDIT_ALERTS,
    Act.EDIT_WEBHOOKS,
    Act.EDIT_CREDENTIALS,
}

MEMBER_MAY: Final[Mapping[MemberRole, frozenset[Act]]] = MappingProxyType(
    {
        MemberRole.VIEWER: _MEMBER_VIEWER,
        MemberRole.ADMIN: _ADMIN,
        MemberRole.OWNER: _ADMIN | {Act.MANAGE_MEMBERS, Act.REVOKE_ALL_KEYS},
    }
)

#: What an operator may who looks at a tenant's pages in the place of a member: never more than to look.
IMPERSONATOR_MAY: Final = _SEE

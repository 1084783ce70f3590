from accounts.models.invitation import Invitation
from accounts.models.membership import MemberRole, Membership
from accounts.models.user import OperatorRole, User

__all__ = ["Invitation", "MemberRole", "Membership", "OperatorRole", "User"]

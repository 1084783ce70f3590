from accounts.models.user import OperatorRole, User

__all__ = ["OperatorRole", "User"]

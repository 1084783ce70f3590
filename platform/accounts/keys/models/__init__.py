from accounts.keys.models.api_key import ApiKey, KeyStatus
from accounts.keys.permissions import Permission

__all__ = ["ApiKey", "KeyStatus", "Permission"]

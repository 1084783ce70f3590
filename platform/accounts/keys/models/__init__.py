from accounts.keys.models.api_key import ApiKey, KeyStatus, Permission

__all__ = ["ApiKey", "KeyStatus", "Permission"]

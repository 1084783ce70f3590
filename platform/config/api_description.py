"""How Django REST framework answers, and what the description of the management API is called."""

from typing import Any, Final

REST_FRAMEWORK: Final[dict[str, Any]] = {
    # Every view names its own; one that forgets is closed, not open.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    # Several things have a field `status`; each set of values has a name of its own in the description.
    "ENUM_NAME_OVERRIDES": {
        "KillSwitchLevelEnum": "kernel.switches.SwitchLevel.values",
        "TenantSwitchLevelEnum": (
            ["tenant", "workspace", "app", "workflow", "agent", "toolset", "tool", "key", "model", "provider"]
        ),
        "PlatformSwitchLevelEnum": ["platform", "model", "provider"],
        "KillSwitchModeEnum": ["STOP_NEW", "CANCEL_HOLDS"],
        "ModelTierEnum": ["small", "medium", "large"],
        "ApiKeyStatusEnum": ["ACTIVE", "EXPIRED", "REVOKED"],
        "TenantStatusEnum": ["PROVISIONING", "ACTIVE", "SUSPENDED", "CLOSED"],
        "BudgetStatusEnum": ["ACTIVE", "FROZEN", "CLOSED"],
        "WebhookStatusEnum": ["ACTIVE", "PAUSED", "DISABLED"],
        "DeliveryStatusEnum": ["PENDING", "SUCCESS", "FAILED", "RETRYING"],
        "ReservationStatusEnum": ["ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"],
    },
    "TITLE": "Watermaster",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

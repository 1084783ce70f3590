"""The closed list of what an API key may do."""

from django.db import models


class Permission(models.TextChoices):
    """What a key may do. The names up to `events:read` are the protocol's; the rest are for operators."""

    RESERVATIONS_CREATE = "reservations:create"
    RESERVATIONS_COMMIT = "reservations:commit"
    RESERVATIONS_RELEASE = "reservations:release"
    RESERVATIONS_EXTEND = "reservations:extend"
    RESERVATIONS_LIST = "reservations:list"
    BALANCES_READ = "balances:read"
    BUDGETS_READ = "budgets:read"
    BUDGETS_WRITE = "budgets:write"
    POLICIES_READ = "policies:read"
    POLICIES_WRITE = "policies:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    EVENTS_READ = "events:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    PLATFORM_READ = "platform:read"
    PLATFORM_WRITE = "platform:write"

"""Stops that concern every tenant: the platform, a model, a provider."""

from django.db import models
from django.db.models import Q

from kernel.switches import Switch, SwitchLevel


class PlatformSwitch(Switch):
    """Read by every tenant's decisions, in their own transaction."""

    class Meta(Switch.Meta):
        db_table = "platform_switch"
        constraints = [
            models.UniqueConstraint(
                fields=["level", "name"], condition=Q(lifted_at=None), name="one_platform_switch_thrown_per_thing"
            ),
            models.CheckConstraint(
                condition=Q(level__in=[SwitchLevel.PLATFORM, SwitchLevel.MODEL, SwitchLevel.PROVIDER]),
                name="platform_switch_level_is_shared",
            ),
        ]

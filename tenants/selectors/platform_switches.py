"""What is stopped for every tenant, and what was, from the shared schema."""

from datetime import datetime

from django.db.models import Q, QuerySet

from tenants.models import PlatformSwitch


def thrown_platform_switches(*, now: datetime) -> QuerySet[PlatformSwitch]:
    """The switches that stop something in every tenant now, as the engine reads them. For a block `in_public`."""
    return PlatformSwitch.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), lifted_at=None)


def platform_switch_history() -> QuerySet[PlatformSwitch]:
    """Every platform switch that was ever thrown, whether it is over or not. For a block `in_public`."""
    return PlatformSwitch.objects.all()

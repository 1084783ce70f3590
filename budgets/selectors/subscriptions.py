"""The plan of the tenant whose schema the connection is in."""

from budgets.models import Subscription


def current_subscription() -> Subscription | None:
    """None for a tenant without a plan."""
    return Subscription.objects.filter(pk=1).first()

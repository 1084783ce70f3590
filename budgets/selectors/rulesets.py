"""What is known of the compiled rules of the tenant whose schema the connection is in."""

from datetime import datetime

from budgets.models import Ruleset


def shadow_ends_at() -> datetime | None:
    """When the shadow mode that is in the rules ends; None where there is none, or no end."""
    ends_at = Ruleset.objects.filter(pk=1).values_list("document__shadow__enforce_from", flat=True).first()
    return None if ends_at is None else datetime.fromisoformat(ends_at)

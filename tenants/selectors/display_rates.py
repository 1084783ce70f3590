"""The rates by which amounts may be shown, from the shared schema."""

from datetime import date

from kernel.pages.amounts import Display
from kernel.tenancy import in_public
from tenants.models import DisplayRate


def latest_displays(*, today: date) -> tuple[Display, ...]:
    """The latest rate of each currency, none of a later day than `today`, in order of their letters. One query."""
    with in_public():
        found = list(
            DisplayRate.objects.filter(as_of__lte=today).order_by("currency", "-as_of", "-id").distinct("currency")
        )
    return tuple(
        Display(currency=rate.currency, micros_per_usd=rate.micros_per_usd, as_of=rate.as_of, source=rate.source)
        for rate in found
    )

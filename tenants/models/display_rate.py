"""What a dollar was worth in another currency on a day: for showing amounts, never for booking them."""

from django.db import models
from django.db.models import Q


class DisplayRate(models.Model):
    """Never edited: a later row of the same day takes the place of the one before."""

    currency = models.TextField(help_text="Its three letters, as INR.")
    micros_per_usd = models.BigIntegerField(help_text="Millionths of the currency for 1 USD.")
    as_of = models.DateField(help_text="The day whose rate it is.")
    source = models.TextField(help_text="Who says so, as pages state it.")
    set_at = models.DateTimeField()

    class Meta:
        db_table = "display_rate"
        indexes = [models.Index(fields=["currency", "-as_of", "-id"], name="display_rate_latest")]
        constraints = [
            models.CheckConstraint(condition=Q(micros_per_usd__gt=0), name="display_rate_is_positive"),
            models.CheckConstraint(condition=Q(currency__regex="^[A-Z]{3}$"), name="display_rate_names_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.micros_per_usd} {self.currency} micros per USD on {self.as_of}"

"""What a tenant's prices are multiplied with: a margin or a discount on everything of a provider, or of all."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from kernel.ids import uuid7


class PriceMultiplier(models.Model):
    """`ppm`: parts per million of the platform's or the list's price. A provider's own wins over that of all."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_tag = models.TextField()
    provider = models.TextField(default="", blank=True, help_text="Empty for all providers.")
    ppm = models.BigIntegerField()
    effective = DateTimeRangeField(help_text="From and until when requests are charged so; the end is not included.")
    set_at = models.DateTimeField()
    set_by = models.TextField()

    class Meta:
        db_table = "price_multiplier"
        constraints = [
            ExclusionConstraint(
                name="multipliers_do_not_overlap",
                expressions=[
                    ("tenant_tag", RangeOperators.EQUAL),
                    ("provider", RangeOperators.EQUAL),
                    ("effective", RangeOperators.OVERLAPS),
                ],
            ),
            # A thousandth to a thousandfold: what is outside is a slip of the finger.
            models.CheckConstraint(condition=Q(ppm__gte=1_000, ppm__lte=10**9), name="multiplier_is_sensible"),
            models.CheckConstraint(condition=Q(tenant_tag__regex=r"^[a-z2-7]{20}$"), name="multiplier_has_a_tenant"),
            models.CheckConstraint(condition=Q(effective__isempty=False), name="multiplier_is_effective_some_time"),
            models.CheckConstraint(condition=Q(provider=Lower("provider")), name="multiplier_provider_is_lower_case"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_tag} {self.provider or 'all'} × {self.ppm} ppm"

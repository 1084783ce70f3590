"""A priced tier with versioned defaults."""

from django.db import models

from kernel.ids import uuid7


class Plan(models.Model):
    """One version of a plan. A version that tenants are on is never edited: a change is the next version."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.TextField()
    version = models.IntegerField()
    name = models.TextField()
    price = models.BigIntegerField(help_text="A month, in USD_MICROCENTS.")
    defaults = models.JSONField(
        default=dict, help_text="What a tenant on it starts with: budgets, run templates, limits."
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "plan"
        constraints = [
            models.UniqueConstraint(fields=["code", "version"], name="one_plan_per_code_and_version"),
            models.CheckConstraint(
                condition=models.Q(price__gte=0, version__gte=1), name="plan_price_and_version_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} v{self.version}"

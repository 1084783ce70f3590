"""A version of a model's price: proposed by an import or a person, approved by a person, never edited."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from kernel.ids import uuid7


class Layer(models.TextChoices):
    """Whose price it is. A tenant's contract wins over the platform's own price, and that over the list."""

    LIST = "LIST"
    PLATFORM = "PLATFORM"
    CONTRACT = "CONTRACT"


class PriceStatus(models.TextChoices):
    """SUPERSEDED: taken back before it was decided, or wholly replaced by a later approval."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"


class PriceVersion(models.Model):
    """Rates are USD_MICROCENTS per 1,000,000 tokens, fees USD_MICROCENTS a call.

    `rates` has a table for each mode (`standard`, `batch`, …) and for long requests (`standard_long`, …), from kind
    to rate. The runtime's role may change only what a decision changes: status, dates and who decided.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    layer = models.TextField(choices=Layer)
    tenant_tag = models.TextField(default="", blank=True, help_text="Whose contract it is; empty for everybody.")
    provider = models.TextField()
    model = models.TextField()
    aliases = ArrayField(models.TextField(), default=list, help_text="Other names that the provider gives the model.")
    rates = models.JSONField()
    long_context_from = models.BigIntegerField(null=True, help_text="Requests with more input tokens are long.")
    per_call = models.BigIntegerField(default=0)
    tool_fees = models.JSONField(default=dict, help_text="For a call of a tool that the provider runs, by its name.")
    context_window = models.BigIntegerField(null=True)
    effective = DateTimeRangeField(help_text="From and until when requests are charged so; the end is not included.")
    source = models.TextField()
    source_version = models.TextField()
    notes = models.TextField(default="", blank=True, help_text="What whoever approves it should know.")
    status = models.TextField(choices=PriceStatus, default=PriceStatus.PROPOSED)
    proposed_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField(default="", blank=True)

    class Meta:
        db_table = "price_version"
        constraints = [
            ExclusionConstraint(
                name="approved_prices_do_not_overlap",
                expressions=[
                    ("layer", RangeOperators.EQUAL),
                    ("tenant_tag", RangeOperators.EQUAL),
                    ("provider", RangeOperators.EQUAL),
                    ("model", RangeOperators.EQUAL),
                    ("effective", RangeOperators.OVERLAPS),
                ],
                condition=Q(status=PriceStatus.APPROVED),
            ),
            models.UniqueConstraint(
                fields=["layer", "tenant_tag", "provider", "model", "effective"],
                condition=Q(status=PriceStatus.PROPOSED),
                name="one_proposal_per_model_and_dates",
            ),
            models.CheckConstraint(
                condition=Q(layer=Layer.CONTRACT, tenant_tag__regex=r"^[a-z2-7]{20}$")
                | (~Q(layer=Layer.CONTRACT) & Q(tenant_tag="")),
                name="price_of_a_contract_has_a_tenant",
            ),
            models.CheckConstraint(condition=Q(effective__isempty=False), name="price_is_effective_some_time"),
            models.CheckConstraint(
                condition=Q(provider=Lower("provider"), model=Lower("model")) & ~Q(provider="") & ~Q(model=""),
                name="price_names_are_lower_case",
            ),
            models.CheckConstraint(
                condition=Q(per_call__gte=0) & (Q(long_context_from=None) | Q(long_context_from__gt=0)),
                name="price_fee_and_threshold_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[PriceStatus.PROPOSED, PriceStatus.SUPERSEDED]) | Q(decided_at__isnull=False),
                name="price_decision_has_a_time",
            ),
        ]
        indexes = [models.Index(fields=["provider", "model"], name="price_version_model")]

    def __str__(self) -> str:
        return f"{self.provider}:{self.model} {self.layer} {self.source} {self.source_version}"

"""What a provider lets the platform use of one deployment: requests and tokens a minute, shared by all tenants."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class ProviderPool(models.Model):
    """Under the name that routes lead to: `provider:model`, with `@deployment` where there are several."""

    name = models.TextField(primary_key=True)
    requests_per_minute = models.BigIntegerField(default=0, help_text="0: the provider sets no limit.")
    tokens_per_minute = models.BigIntegerField(default=0, help_text="0: the provider sets no limit.")
    is_healthy = models.BooleanField(default=True, help_text="Nothing is sent to a deployment that is not.")
    changed_at = models.DateTimeField()
    changed_by = models.TextField()

    class Meta:
        db_table = "provider_pool"
        constraints = [
            models.CheckConstraint(
                condition=Q(requests_per_minute__gte=0, tokens_per_minute__gte=0), name="pool_limits_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(name=Lower("name")) & Q(name__contains=":"), name="pool_name_is_a_model"
            ),
        ]

    def __str__(self) -> str:
        return self.name

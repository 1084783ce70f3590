"""A template: what the budget of a run gets when its first reservation opens it."""

from django.db import models
from django.db.models import Q

from budgets.models.budget import UNIT_CHOICES
from kernel.ids import uuid7


class RunTemplate(models.Model):
    """Chosen by the run's `run_template` dimension, else by its workflow's name, else the default one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.TextField(unique=True)
    unit = models.TextField(choices=UNIT_CHOICES)
    amount = models.BigIntegerField()
    is_default = models.BooleanField(default=False)

    class Meta:
        db_table = "run_template"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="run_template_amount_not_negative"),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_run_template"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.amount} {self.unit}"

"""A budget: money or units that one scope may use in one period."""

from django.db import models
from django.db.models import F, Q

from budgets.models.choices import BudgetStatus, Period, Rollover
from kernel.ids import uuid7
from kernel.money import Unit

UNIT_CHOICES = [(unit.value, unit.value) for unit in Unit]


class Budget(models.Model):
    """Amounts are integers of `unit`. What remains is derived and never stored.

    Only the functions in `budgets/sql/` and the services change the amounts, each time with a ledger entry, and only
    while they hold
    the tenant's ledger head.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    scope_path = models.TextField()
    depth = models.SmallIntegerField(help_text="Segments of the path: 1 for the tenant's own budget.")
    unit = models.TextField(choices=UNIT_CHOICES)
    allocated = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    debt = models.BigIntegerField(default=0)
    uncovered = models.BigIntegerField(
        default=0, help_text="Spent for real, but covered neither by budget nor by debt."
    )
    overdraft_limit = models.BigIntegerField(default=0)
    is_capped = models.BooleanField(
        default=False, help_text="A charge could not be covered in full; refuses reservations until funded."
    )
    is_low = models.BooleanField(default=False, help_text="Below the low-water mark, until it recovers.")
    status = models.TextField(choices=BudgetStatus, default=BudgetStatus.ACTIVE)
    period = models.TextField(choices=Period, default=Period.ONE_OFF)
    anchor = models.DateField(help_text="The day in the tenant's time zone from which periods are counted.")
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    rollover = models.TextField(choices=Rollover, default=Rollover.NONE)
    period_allocation = models.BigIntegerField(default=0, help_text="What each new period is granted.")
    run_id = models.TextField(null=True, help_text="Set on the budget of one run.")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "budget"
        indexes = [
            models.Index(fields=["scope_path", "unit"], condition=Q(run_id=None), name="budget_standing"),
            # Budgets of runs have no period and are not in it.
            models.Index(
                fields=["period_ends_at"], condition=Q(period_ends_at__isnull=False), name="budget_period_ends"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["scope_path", "unit"], name="one_budget_per_scope_and_unit"),
            models.CheckConstraint(condition=Q(allocated__gte=0), name="budget_allocated_not_negative"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="budget_reserved_not_negative"),
            models.CheckConstraint(
                condition=Q(
                    spent__gte=0, debt__gte=0, uncovered__gte=0, overdraft_limit__gte=0, period_allocation__gte=0
                ),
                name="budget_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(period=Period.ONE_OFF, period_starts_at=None, period_ends_at=None)
                | (~Q(period=Period.ONE_OFF) & Q(period_starts_at__lt=F("period_ends_at"))),
                name="budget_period_has_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope_path} ({self.unit})"

    @property
    def remaining(self) -> int:
        """What a new reservation may take; below zero while in debt beyond the allocation."""
        return self.allocated - self.reserved - self.spent - self.debt

    @property
    def is_over_limit(self) -> bool:
        return self.is_capped or self.debt > self.overdraft_limit

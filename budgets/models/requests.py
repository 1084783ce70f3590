"""What a tenant's people ask the platform's for: more money where a limit is not theirs to raise."""

from django.db import models
from django.db.models import Q

from budgets.models.budget import UNIT_CHOICES
from budgets.models.choices import RequestState


class BudgetRequest(models.Model):
    """`amount` of `unit` more for one scope's budget. Whoever answers may grant less.

    The id is the asking form's own, so that a form that is sent twice asks once.
    """

    id = models.UUIDField(primary_key=True)
    scope_path = models.TextField()
    unit = models.TextField(choices=UNIT_CHOICES)
    amount = models.BigIntegerField()
    reason = models.TextField()
    asked_by = models.TextField()
    asked_at = models.DateTimeField()
    state = models.TextField(choices=RequestState, default=RequestState.OPEN)
    granted = models.BigIntegerField(null=True)
    answer = models.TextField(blank=True, default="")
    answered_by = models.TextField(blank=True, default="")
    answered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "budget_request"
        indexes = [models.Index(fields=["asked_at", "id"], name="budget_request_asked")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="budget_request_asks_for_something"),
            models.CheckConstraint(
                condition=Q(state=RequestState.OPEN, answered_at=None)
                | (~Q(state=RequestState.OPEN) & Q(answered_at__isnull=False)),
                name="budget_request_is_answered_once",
            ),
            models.CheckConstraint(
                condition=Q(state=RequestState.GRANTED, granted__gt=0)
                | (~Q(state=RequestState.GRANTED) & Q(granted=None)),
                name="budget_request_grants_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope_path} {self.amount} {self.unit} {self.state}"

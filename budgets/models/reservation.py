"""A reservation: a hold on every budget of a path, until it is settled once."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from budgets.models.choices import OveragePolicy, ReservationStatus
from kernel.ids import uuid7


class Reservation(models.Model):
    """ACTIVE -> COMMITTED | RELEASED | EXPIRED, once. Written by the SQL functions only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    status = models.TextField(choices=ReservationStatus)
    unit = models.TextField()
    amount = models.BigIntegerField(help_text="The estimate that is held.")
    overage_policy = models.TextField(choices=OveragePolicy)
    budget_ids = ArrayField(models.UUIDField(), help_text="The budgets it touches, root first, the run's last.")
    scope_path = models.TextField()
    run_id = models.TextField(null=True)
    subject = models.JSONField()
    action = models.JSONField()
    metadata = models.JSONField(null=True)
    api_key_id = models.TextField(null=True)
    idempotency_key = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="expires_at plus the grace period: settlements are accepted until then.")
    grace_ms = models.IntegerField()
    extensions = models.SmallIntegerField(default=0)
    finalized_at = models.DateTimeField(null=True)
    actual = models.BigIntegerField(null=True)
    charged = models.BigIntegerField(null=True)
    committed_metadata = models.JSONField(null=True)
    metrics = models.JSONField(null=True)
    tokens = models.BigIntegerField(null=True, help_text="What it holds of its run's tokens.")

    class Meta:
        db_table = "reservation"
        indexes = [
            models.Index(fields=["created_at", "id"], name="reservation_created"),
            models.Index(fields=["due_at"], condition=Q(status=ReservationStatus.ACTIVE), name="reservation_due"),
            models.Index(fields=["run_id"], condition=Q(run_id__isnull=False), name="reservation_run"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="reservation_amount_not_negative"),
            models.CheckConstraint(
                condition=~Q(status=ReservationStatus.COMMITTED) | Q(actual__isnull=False, charged__isnull=False),
                name="committed_reservation_has_charge",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.status} {self.amount} {self.unit}"

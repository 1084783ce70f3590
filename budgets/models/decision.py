"""A decision: the answer ALLOW, ALLOW_WITH_CAPS or DENY, kept with its reasons."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from budgets.models.choices import Verdict
from kernel.ids import uuid7


class Decision(models.Model):
    """Written once, in the transaction of the answer. An allowed reservation and its decision share an id.

    A refusal has no effect and is not replayable: the same key is judged anew.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    endpoint = models.TextField()
    verdict = models.TextField(choices=Verdict)
    reason_code = models.TextField(null=True)
    is_replayable = models.BooleanField()
    idempotency_key = models.TextField(null=True)
    payload_hash = models.BinaryField(null=True)
    scope_path = models.TextField(null=True)
    failed_scope = models.TextField(null=True, help_text="The first scope, root to leaf, that refused.")
    unit = models.TextField(null=True)
    amount = models.BigIntegerField(null=True)
    numbers = models.JSONField(null=True, help_text="The numbers at that moment.")
    api_key_id = models.TextField(null=True)
    run_id = models.TextField(null=True)
    reservation_id = models.UUIDField(null=True)
    subject = models.JSONField(null=True)
    action = models.JSONField(null=True)
    ledger_seq = models.BigIntegerField(null=True)
    budget_ids = ArrayField(models.UUIDField(), null=True)
    balances = ArrayField(models.BigIntegerField(), null=True)
    would_deny = models.TextField(null=True, help_text="In shadow mode: the refusal that did not block.")
    admission = models.JSONField(null=True, help_text="How far the checks came, class, route and caps.")
    request_id = models.TextField(null=True)
    trace_id = models.TextField(null=True)

    class Meta:
        db_table = "decision"
        constraints = [
            models.UniqueConstraint(
                fields=["idempotency_key", "endpoint"], condition=Q(is_replayable=True), name="one_answer_per_key"
            ),
        ]
        indexes = [
            models.Index(fields=["at"], condition=Q(verdict=Verdict.DENY), name="decision_denied_at"),
            models.Index(fields=["at"], condition=Q(would_deny__isnull=False), name="decision_would_deny_at"),
            # What rollups follow by time, with the refusals. A reservation has a number in the ledger: it is not here.
            models.Index(
                fields=["at"],
                condition=Q(ledger_seq__isnull=True) & ~Q(verdict=Verdict.DENY),
                name="decision_unheld_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.verdict} {self.reason_code or ''}".rstrip()

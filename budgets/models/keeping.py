"""How long a tenant's books are kept, and what stands at the place where they begin."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class KeptKind(models.TextChoices):
    """What can be kept for a time of the tenant's own. Spans are the operator's to say."""

    DECISIONS = "decisions"
    EVENTS = "events"
    LEDGER = "ledger"


class KeepingTerm(models.Model):
    """For how many days rows of one kind are kept, in the place of what the plan or the installation says."""

    kind = models.TextField(primary_key=True, choices=KeptKind)
    days = models.IntegerField(null=True, help_text="None for ever.")
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "keeping_term"
        constraints = [models.CheckConstraint(condition=Q(days__gt=0), name="keeping_term_days_positive")]

    def __str__(self) -> str:
        return f"{self.kind} {self.days}"


class LedgerOpening(models.Model):
    """What one budget had when the ledger begins: behind the last entry that was archived, in the file `number`.

    `balances` are the seven numbers of an entry's; `first_seq` is the first entry that the budget ever had.
    """

    pk = models.CompositePrimaryKey("number", "budget_id")
    number = models.BigIntegerField()
    budget_id = models.UUIDField()
    first_seq = models.BigIntegerField()
    balances = ArrayField(models.BigIntegerField())

    class Meta:
        db_table = "ledger_opening"

    def __str__(self) -> str:
        return f"{self.budget_id} behind file {self.number}"

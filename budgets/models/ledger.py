"""The tenant's books: one numbered line for everything that changed an amount."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from budgets.models.choices import EntryKind, OveragePolicy, TenantStatus

#: The numbers that one budget has in `LedgerEntry.deltas`, in this order.
DELTA_FIELDS = ("allocated", "reserved", "spent", "debt", "uncovered")
#: The numbers that one budget has in `LedgerEntry.balances`, in this order.
BALANCE_FIELDS = (*DELTA_FIELDS, "overdraft_limit", "is_over_limit")
#: Entries that give a budget its money anew: what was moved to or from it before is no longer part of it.
KINDS_THAT_BEGIN_ANEW = (EntryKind.ROLLOVER, EntryKind.RESET, EntryKind.RESET_SPENT)


class LedgerHead(models.Model):
    """One row a tenant: the lock that every writer takes first, and what every decision needs to know of the tenant."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    slug = models.TextField()
    status = models.TextField(choices=TenantStatus, default=TenantStatus.ACTIVE)
    time_zone = models.TextField(default="UTC")
    last_seq = models.BigIntegerField(default=0)
    overage_policy = models.TextField(choices=OveragePolicy, default=OveragePolicy.ALLOW_IF_AVAILABLE)
    extensions_max = models.SmallIntegerField(default=10)

    class Meta:
        db_table = "ledger_head"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_ledger_head")]

    def __str__(self) -> str:
        return f"{self.slug} at {self.last_seq}"


class LedgerEntry(models.Model):
    """One operation's whole effect. Never updated, never deleted: the grants say so; a correction is a new entry.

    `budget_ids` names every budget touched. `deltas` and `balances` are flat, a stride a budget in that order: five
    numbers (`DELTA_FIELDS`) of change, seven (`BALANCE_FIELDS`) of what stood after it. The view `ledger_posting` shows
    them as rows.
    """

    seq = models.BigIntegerField(primary_key=True)
    kind = models.TextField(choices=EntryKind)
    at = models.DateTimeField(help_text="The database's clock; order is by seq, never by time.")
    endpoint = models.TextField(null=True)
    target = models.UUIDField(null=True)
    idempotency_key = models.TextField(null=True)
    payload_hash = models.BinaryField(null=True)
    reservation_id = models.UUIDField(null=True)
    event_id = models.UUIDField(null=True)
    unit = models.TextField(null=True)
    amount = models.BigIntegerField(null=True)
    charged = models.BigIntegerField(null=True)
    expires_at = models.DateTimeField(null=True)
    period_starts_at = models.DateTimeField(null=True)
    budget_ids = ArrayField(models.UUIDField())
    deltas = ArrayField(models.BigIntegerField())
    balances = ArrayField(models.BigIntegerField())
    subject = models.JSONField(null=True)
    action = models.JSONField(null=True)
    metadata = models.JSONField(null=True)
    metrics = models.JSONField(null=True)
    price = models.JSONField(null=True, help_text="Unit prices, their source and version, of a charge that was priced.")
    actor = models.TextField(null=True)
    reason = models.TextField(null=True)
    request_id = models.TextField(null=True)
    trace_id = models.TextField(null=True)

    class Meta:
        db_table = "ledger_entry"
        indexes = [
            models.Index(
                RawSQL("(budget_ids[1])", ()),
                F("seq"),
                condition=Q(kind__in=KINDS_THAT_BEGIN_ANEW),
                name="ledger_entry_begins_anew",
            ),
            models.Index(
                RawSQL("(metadata ->> 'corrects')", ()),
                F("seq"),
                condition=Q(kind=EntryKind.CORRECTION),
                name="ledger_entry_corrects",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["idempotency_key", "endpoint", "target"],
                condition=Q(idempotency_key__isnull=False),
                nulls_distinct=False,
                name="one_effect_per_key",
            ),
            models.UniqueConstraint(
                RawSQL("(budget_ids[1])", ()),
                F("period_starts_at"),
                condition=Q(kind=EntryKind.ROLLOVER),
                name="one_rollover_per_period",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind} {self.amount} {self.unit}"

"""How a tenant stands, as its own books said a moment ago: what pages about many tenants read."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from tenants.models.tenant import Tenant


def _amount(help_text: str = "") -> "models.DecimalField[Any, Any]":
    # Sums of lawful amounts do not fit into 64 bits.
    return models.DecimalField(max_digits=40, decimal_places=0, default=0, help_text=help_text)


class TenantStanding(models.Model):
    """One row a tenant, written by the worker after each roll-up: a note; the truth is in the tenant's schema.

    `as_of` is None until the first one. All amounts are in `unit`: that of the tenant's own budget, in USD where it has
    one. The first columns say what the worker has seen; `budgets/services/standing_notes.py` fills the others.
    """

    tag = models.TextField(primary_key=True)
    # No constraint in the database: the note must lock nothing but itself.
    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="standing", db_constraint=False)
    as_of = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True, help_text="When a visit was last asked for.")
    revisit_at = models.DateTimeField(null=True, help_text="When what is said here is no longer true by itself.")
    ledger_table = models.BigIntegerField(help_text="The oid of the tenant's ledger_entry.")
    decision_table = models.BigIntegerField(help_text="The oid of the tenant's decision.")
    inserts_seen = models.BigIntegerField(default=-1, help_text="Rows ever inserted into both, when it was visited.")

    unit = models.TextField(default="", help_text="Empty for a tenant without a budget of its own.")
    period = models.TextField(default="")
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    allocated = _amount()
    reserved = _amount()
    spent = _amount()
    debt = _amount()
    overdraft_limit = _amount()
    budget_status = models.TextField(default="")
    is_over_limit = models.BooleanField(default=False)
    more_budgets = models.IntegerField(default=0, help_text="The tenant's own budgets in other units.")
    taken_ppm = models.BigIntegerField(default=0, help_text="Reserved, spent and owed of what is allocated.")

    day_starts_at = models.DateTimeField(null=True, help_text="The tenant's local midnight.")
    day_ends_at = models.DateTimeField(null=True)
    spent_today = _amount("Charged since then.")
    spent_hour = _amount("Charged in the last hour.")
    quarters_until = models.DateTimeField(null=True, help_text="Where the last of `quarters` ends.")
    quarters = ArrayField(
        models.DecimalField(max_digits=40, decimal_places=0),
        default=list,
        help_text="Charged in each of the last 96 quarters of an hour, the oldest first; the last one is under way.",
    )
    mean_hour_7d = _amount("Charged in an hour of the last seven days, on average.")
    exhausts_at = models.DateTimeField(null=True, help_text="When nothing remains if it goes on like in the last hour.")
    denied_hour = models.BigIntegerField(default=0, help_text="Calls refused in the last 60 minutes.")
    denied_causes = models.JSONField(default=dict, help_text="So many of them for each reason code.")
    calls_hour = models.BigIntegerField(default=0, help_text="Calls charged in the last hour.")
    top_agent = models.TextField(default="", help_text="Who was charged most in the last hour.")
    top_agent_ppm = models.BigIntegerField(default=0, help_text="Its share of what was charged.")
    holds_open = models.BigIntegerField(default=0)
    oldest_hold_at = models.DateTimeField(null=True)
    period_due_at = models.DateTimeField(null=True, help_text="When a budget's next period is to be opened.")
    seal_due_at = models.DateTimeField(null=True, help_text="When the open end of its ledger is to be sealed.")
    alerts_open = models.IntegerField(default=0, db_default=0, help_text="Those that nobody has snoozed.")
    alert_severity = models.SmallIntegerField(default=0, db_default=0, help_text="Of the worst one; zero without any.")
    alert_words = models.TextField(default="", db_default="", help_text="The worst one as a sentence.")
    tell_at = models.DateTimeField(null=True, help_text="When a channel of the tenant next has something to tell.")

    class Meta:
        db_table = "tenant_standing"
        indexes = [
            models.Index(fields=["tell_at"], condition=Q(tell_at__isnull=False), name="tenant_standing_tell"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(tag__regex=r"^[a-z2-7]{20}$"), name="tenant_standing_tag_is_opaque"),
        ]

    def __str__(self) -> str:
        return f"{self.tag} as of {self.as_of}"

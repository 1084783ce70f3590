"""What the books judge by besides money: the compiled rules, the stops, the runs and the counters."""

from django.db import models
from django.db.models import Q

from kernel.switches import Switch


class Ruleset(models.Model):
    """One row a tenant: everything that is configuration, compiled into one document.

    A decision reads it in its own transaction.
    `budgets.services.ruleset` says its shape and writes it; the tables that people edit are elsewhere.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField()
    document = models.JSONField()
    compiled_at = models.DateTimeField()

    class Meta:
        db_table = "ruleset"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_ruleset")]

    def __str__(self) -> str:
        return f"version {self.version}"


class KillSwitch(Switch):
    """A stop within one tenant."""

    class Meta(Switch.Meta):
        db_table = "kill_switch"
        constraints = [
            models.UniqueConstraint(
                fields=["level", "name"], condition=Q(lifted_at=None), name="one_switch_thrown_per_thing"
            ),
        ]


class Run(models.Model):
    """One execution of an agent: what it has used of its limits, counted in the transaction of the money."""

    run_id = models.TextField(primary_key=True)
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField(help_text="Until then it counts as running; every reservation prolongs it.")
    iterations = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    tokens_held = models.BigIntegerField(default=0)
    provider = models.TextField(null=True, help_text="Whose model it began with; it stays there where it can.")
    gave_up_code = models.TextField(null=True)
    gave_up_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "run"
        indexes = [models.Index(fields=["lease_until"], name="run_lease")]

    def __str__(self) -> str:
        return self.run_id


class QuotaCounter(models.Model):
    """How much of a counted quota is used in one window. The key names the quota and the window's start, or the run."""

    key = models.TextField(primary_key=True)
    used = models.BigIntegerField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "quota_counter"

    def __str__(self) -> str:
        return f"{self.key}: {self.used}"

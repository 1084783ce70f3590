"""Sums per 15 minutes of what the books say: what pages and reports read instead of the ledger.

They follow the ledger and can be made from it again at any time (`budgets/services/rollups.py`). Words that a charge
does not have are empty, never null, so that one key names one row. Sums are numeric: two charges of 2^62 are lawful.
"""

from datetime import timedelta
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

BUCKET: Final = timedelta(minutes=15)
#: Upper bounds of the places of `UsageRollup.latency_counts`, in milliseconds; the last place has what took longer.
#: Never changed: counts by the same bounds can be added.
LATENCY_BOUNDS_MS: Final = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)


def no_counts() -> list[int]:
    """A histogram in which nothing was counted yet."""
    return [0] * (len(LATENCY_BOUNDS_MS) + 1)


def _sum(help_text: str = "") -> "models.DecimalField[Any, Any]":
    return models.DecimalField(max_digits=40, decimal_places=0, default=0, help_text=help_text)


class _Usage(models.Model):
    """Ledger entries that were about the same, together."""

    scope_path = models.TextField(help_text="Of the call, without its run.")
    model = models.TextField()
    tool = models.TextField()
    traffic_class = models.TextField()
    unit = models.TextField()
    agent = models.TextField(help_text="The agent in the scope path, for reading by it.")
    calls = models.BigIntegerField(default=0, help_text="Charges: commits and events.")
    events = models.BigIntegerField(default=0, help_text="Those of the calls that had no hold.")
    charged = _sum("What budgets or debt paid, corrections included.")
    uncovered = _sum("What was really spent beyond that.")
    corrections = models.BigIntegerField(default=0)
    corrected = _sum("What the corrections alone came to, in charged.")
    priced_calls = models.BigIntegerField(default=0, help_text="Calls whose provider's cost is known.")
    priced_charged = _sum("What was charged for those.")
    provider_cost = _sum("What those cost at the provider's list price, in USD_MICROCENTS whatever the unit is.")
    tokens_input = _sum()
    tokens_output = _sum()
    tokens_cached = _sum("Of the input.")
    tokens_reasoning = _sum("Of the output.")
    holds = models.BigIntegerField(default=0, help_text="Reservations made.")
    held = _sum("What was held for them.")
    commits = models.BigIntegerField(default=0)
    planned = _sum("What was held for the calls that were committed here.")
    observed = _sum("What those really cost, as they were committed.")
    releases = models.BigIntegerField(default=0)
    expiries = models.BigIntegerField(default=0)
    given_back = _sum("What was held for what was released or expired.")
    latency_ms = _sum("Of the calls that measured it, together.")
    latency_counts = ArrayField(
        models.BigIntegerField(), help_text="So many calls within each of `LATENCY_BOUNDS_MS`, and longer ones."
    )

    first_token_ms = _sum("Until the first token came, of the calls that measured it, together.")
    first_token_counts = ArrayField(
        models.BigIntegerField(), default=no_counts, help_text="As `latency_counts`, of the time to the first token."
    )

    class Meta:
        abstract = True


class UsageRollup(_Usage):
    """Entries of one bucket. An entry is in the bucket of its own `at`."""

    bucket_at = models.DateTimeField(help_text="Where the 15 minutes begin, at a quarter of an hour in UTC.")
    pk = models.CompositePrimaryKey("bucket_at", "scope_path", "model", "tool", "traffic_class", "unit")

    class Meta:
        db_table = "usage_rollup"

    def __str__(self) -> str:
        return f"{self.bucket_at:%Y-%m-%d %H:%M} {self.scope_path} {self.charged} {self.unit}"


class UsageDay(_Usage):
    """The same sums by days of the tenant's own time zone, which never changes: what views of weeks and months read."""

    day = models.DateField()
    pk = models.CompositePrimaryKey("day", "scope_path", "model", "tool", "traffic_class", "unit")

    class Meta:
        db_table = "usage_day"

    def __str__(self) -> str:
        return f"{self.day} {self.scope_path} {self.charged} {self.unit}"


class DecisionRollup(models.Model):
    """Decisions of one bucket that were alike."""

    bucket_at = models.DateTimeField(help_text="Where the 15 minutes begin, at a quarter of an hour in UTC.")
    scope_path = models.TextField(help_text="Of what was asked, without its run.")
    endpoint = models.TextField()
    action_kind = models.TextField()
    action_name = models.TextField()
    traffic_class = models.TextField()
    verdict = models.TextField()
    reason_code = models.TextField()
    would_deny = models.TextField(help_text="In shadow mode: the refusal that did not block.")
    pk = models.CompositePrimaryKey(
        "bucket_at",
        "scope_path",
        "endpoint",
        "action_kind",
        "action_name",
        "traffic_class",
        "verdict",
        "reason_code",
        "would_deny",
    )
    agent = models.TextField(help_text="The agent in the scope path, for reading by it.")
    count = models.BigIntegerField()

    class Meta:
        db_table = "decision_rollup"

    def __str__(self) -> str:
        return f"{self.bucket_at:%Y-%m-%d %H:%M} {self.scope_path} {self.verdict} {self.reason_code} {self.count}"


class RollupMark(models.Model):
    """How far the sums have followed the books. Whoever adds to them holds this row.

    Entries are followed by their numbers, and with them the decisions that made a reservation. Other decisions have no
    number: they are followed by their time, and `decision_ids` are those of the last millisecond that are in already.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    ledger_seq = models.BigIntegerField(default=0)
    decisions_at = models.DateTimeField(null=True)
    decision_ids = ArrayField(models.UUIDField(), default=list)
    rolled_up_at = models.DateTimeField(null=True)
    decisions_kept_since = models.DateTimeField(null=True, help_text="Earlier decisions were exported and dropped.")
    entries_kept_since = models.DateTimeField(null=True, help_text="Of entries before it not all are in the ledger.")

    class Meta:
        db_table = "rollup_mark"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_rollup_mark")]

    def __str__(self) -> str:
        return f"seq {self.ledger_seq}, decisions of {self.decisions_at}"

"""Alerts of a tenant: what was found once for a threshold and a period, by which rules, and whom it is told."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from budgets.models.choices import AlertKind, AlertState, ChannelKind, Severity
from kernel.ids import uuid7


class Alert(models.Model):
    """Something that somebody should know. One row for each kind, subject, threshold and period, never deleted.

    OPEN -> RECOVERED (it went away by itself) or RESOLVED (a person says so). RECOVERED -> OPEN where it comes back in
    the same period: then nobody is told a second time, and whoever was not told the first time is.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.TextField(choices=AlertKind)
    subject = models.TextField(help_text="What it is about, for the machine: `budget:<id>`, `key:<key id>`, `router`.")
    threshold = models.BigIntegerField(default=0, help_text="In the kind's own measure: see `AlertKind`.")
    period = models.TextField(help_text="In which it is told once: where the budget's period begins, a local day.")
    severity = models.SmallIntegerField(choices=Severity)
    scope_path = models.TextField(blank=True, default="")
    unit = models.TextField(blank=True, default="")
    summary = models.TextField(help_text="One sentence, as it was when it was found. No secret.")
    facts = models.JSONField(default=dict, help_text="The numbers of the sentence, as they were then.")
    state = models.TextField(choices=AlertState, default=AlertState.OPEN)
    opened_at = models.DateTimeField()
    period_ends_at = models.DateTimeField(null=True, help_text="After it the alert is over, whatever the numbers are.")
    snoozed_until = models.DateTimeField(null=True)
    tell_at = models.DateTimeField(help_text="Since when the channels may tell of it: opened, or back after a snooze.")
    for_channels = ArrayField(
        models.UUIDField(),
        null=True,
        help_text="The channels that had not told it when it recovered in its period; NULL: it is for all.",
    )
    ended_at = models.DateTimeField(null=True)
    ended_by = models.TextField(blank=True, default="")
    end_reason = models.TextField(blank=True, default="")
    reopened = models.IntegerField(default=0)

    class Meta:
        db_table = "alert"
        indexes = [
            models.Index(fields=["opened_at", "id"], name="alert_opened"),
            models.Index(fields=["kind"], condition=Q(state=AlertState.OPEN), name="alert_open"),
            models.Index(fields=["tell_at"], name="alert_told"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject", "threshold", "period"], name="one_alert_per_threshold_and_period"
            ),
            models.CheckConstraint(
                condition=Q(state=AlertState.OPEN, ended_at=None)
                | (~Q(state=AlertState.OPEN) & Q(ended_at__isnull=False)),
                name="alert_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.threshold} {self.period} {self.state}"


class AlertRule(models.Model):
    """What somebody has changed of a kind's own rule, for the tenant or for one of its budgets.

    A kind without a row follows `budgets.services.alert_rules.DEFAULTS`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.TextField(choices=AlertKind)
    # No constraint in the database: a rule must lock no budget.
    budget = models.ForeignKey(
        "budgets.Budget", on_delete=models.CASCADE, null=True, db_constraint=False, related_name="+"
    )
    is_on = models.BooleanField(default=True)
    thresholds = ArrayField(models.BigIntegerField(), default=list)
    changed_by = models.TextField()
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "alert_rule"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "budget"], nulls_distinct=False, name="one_alert_rule_per_kind_and_budget"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.budget_id or 'tenant'}"


class AlertChannel(models.Model):
    """Where alerts are told: an address that is sealed, because it holds a secret; `hint` is what may be shown of it.

    `told_at` is how far it has told: alerts with a later `tell_at` are still to be told. A mail that only some of its
    readers took is told; the others are `behind`, and hear by themselves of what came after `behind_since`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.TextField(choices=ChannelKind)
    name = models.TextField()
    sealed = models.TextField(help_text="The address, by `kernel.sealing`.")
    hint = models.TextField()
    severity_min = models.SmallIntegerField(choices=Severity, default=Severity.WARNING)
    is_on = models.BooleanField(default=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()
    told_at = models.DateTimeField()
    busy_until = models.DateTimeField(null=True, help_text="Until then one worker is telling it.")
    test_asked_at = models.DateTimeField(null=True, help_text="Somebody waits for a message that is a test.")
    sent_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    behind = ArrayField(models.TextField(), default=list, db_default=[], help_text="Readers who did not take a mail.")
    behind_since = models.DateTimeField(null=True, help_text="How far all of those were told.")
    behind_at = models.DateTimeField(null=True, help_text="When they are told again.")
    behind_tries = models.IntegerField(default=0, db_default=0)
    failures = models.IntegerField(default=0, help_text="One behind the other.")
    failed_at = models.DateTimeField(null=True)
    failure = models.TextField(blank=True, default="", help_text="In our own words, without any part of the address.")

    class Meta:
        db_table = "alert_channel"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class AlertMark(models.Model):
    """When the tenant's books were last looked at for alerts. Whoever opens or ends alerts holds this row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    looked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_mark"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_alert_mark")]

    def __str__(self) -> str:
        return f"looked at {self.looked_at}"

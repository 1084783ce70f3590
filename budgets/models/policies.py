"""What people decide about a tenant: its subscription, and every version of its policies."""

from django.db import models
from django.db.models import Q

from budgets.models.choices import PolicyKind


class Subscription(models.Model):
    """One row a tenant: the plan that it is on, and the one that follows at the period's end, if any was chosen."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    plan_code = models.TextField()
    plan_version = models.IntegerField()
    since = models.DateTimeField()
    next_plan_code = models.TextField(null=True)
    next_plan_version = models.IntegerField(null=True)
    next_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "subscription"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="one_subscription"),
            models.CheckConstraint(
                condition=Q(next_at=None, next_plan_code=None, next_plan_version=None)
                | Q(next_at__isnull=False, next_plan_code__isnull=False, next_plan_version__isnull=False),
                name="next_plan_has_a_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_code} v{self.plan_version}"


class PolicyVersion(models.Model):
    """One version of one policy, never edited; the newest of its kind is in force. Going back is a new version."""

    kind = models.TextField(choices=PolicyKind)
    version = models.BigIntegerField()
    pk = models.CompositePrimaryKey("kind", "version")
    document = models.JSONField()
    reason = models.TextField()
    actor = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "policy_version"

    def __str__(self) -> str:
        return f"{self.kind} v{self.version}"


class RouterModel(models.Model):
    """The tenant's own classifier, trained from its own examples and never from another's."""

    version = models.BigIntegerField(primary_key=True)
    trained_at = models.DateTimeField()
    examples = models.BigIntegerField()
    accuracy_ppm = models.BigIntegerField(help_text="On examples that were held out.")
    content = models.BinaryField(help_text="Numbers and JSON; nothing in it can run.")
    actor = models.TextField()

    class Meta:
        db_table = "router_model"

    def __str__(self) -> str:
        return f"router v{self.version}"


class RouterLabel(models.Model):
    """Somebody's word on one routed decision: the tier that the router chose, and the one that was needed."""

    decision_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    chosen = models.TextField()
    needed = models.TextField()
    actor = models.TextField()

    class Meta:
        db_table = "router_label"
        indexes = [models.Index(fields=["at"], name="router_label_at")]

    def __str__(self) -> str:
        return f"{self.chosen}, needed {self.needed}"

"""The audit trail: who did what, why, and what changed, in the transaction of the change."""

from django.db import models

from kernel.ids import uuid7


class ActorType(models.TextChoices):
    """The protocol's kinds of actor."""

    ADMIN = "admin"
    API_KEY = "api_key"
    ADMIN_ON_BEHALF_OF = "admin_on_behalf_of"
    SYSTEM = "system"
    SCHEDULER = "scheduler"


class AuditEntry(models.Model):
    """Append-only by grants. `before` and `after` never hold a secret."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    actor_type = models.TextField(choices=ActorType)
    actor = models.TextField(help_text="A key id, a user's e-mail address, or the name of a worker.")
    action = models.TextField(help_text="Dotted, as in `budget.funded`.")
    target = models.TextField()
    reason = models.TextField(blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.TextField(blank=True, default="")
    trace_id = models.TextField(blank=True, default="")
    source_ip = models.TextField(blank=True, default="")

    class Meta:
        db_table = "audit_entry"
        indexes = [models.Index(fields=["at"], name="audit_entry_at")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.target}"

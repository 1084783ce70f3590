"""Credential references: where a tenant's secrets live. No column holds a secret, or anything made from one."""

from django.db import models
from django.db.models import Q

from kernel.ids import uuid7
from vault.kinds import BackEnd, Health


class ReferenceStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


class CredentialReference(models.Model):
    """Lives in its tenant's schema. `scope` is what a runtime asks for; one active reference answers for it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.TextField()
    provider = models.TextField(help_text="Whose secret it is, as in `slack`.")
    scope = models.TextField(help_text="What it lets a tool do, as in `slack:write`.")
    tools = models.TextField(help_text="The tools that need it, as a pattern of the tool policy: `slack.*`.")
    back_end = models.TextField(choices=BackEnd)
    path = models.TextField(help_text="A template with `{tenant}` in it.")
    key = models.TextField(blank=True, default="", help_text="The field of the secret; empty for all of its fields.")
    version = models.TextField(blank=True, default="", help_text="As its back end names it; empty for the newest.")
    note = models.TextField(blank=True, default="", help_text="The least that it must be allowed to do, and why.")
    status = models.TextField(choices=ReferenceStatus, default=ReferenceStatus.ACTIVE)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    rotated_at = models.DateTimeField(null=True)
    previous_path = models.TextField(blank=True, default="")
    previous_key = models.TextField(blank=True, default="")
    previous_version = models.TextField(blank=True, default="")
    previous_until = models.DateTimeField(
        null=True, help_text="Until then a lease may still ask for the place before the rotation."
    )
    last_used_at = models.DateTimeField(null=True)
    health = models.TextField(choices=Health, default=Health.UNKNOWN)
    checked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "credential_reference"
        constraints = [
            models.UniqueConstraint(
                fields=["scope"], condition=Q(status="ACTIVE"), name="one_active_reference_per_scope"
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(status="ACTIVE"), name="one_active_reference_per_name"
            ),
            models.CheckConstraint(
                condition=Q(path__contains="{tenant}") & (Q(previous_path="") | Q(previous_path__contains="{tenant}")),
                name="credential_path_names_tenant",
            ),
            models.CheckConstraint(
                condition=Q(status="REVOKED", revoked_at__isnull=False) | Q(status="ACTIVE", revoked_at__isnull=True),
                name="revoked_reference_has_time",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="credential_reference_created")]

    def __str__(self) -> str:
        return f"{self.name} {self.scope} {self.status}"

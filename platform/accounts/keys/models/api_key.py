"""API keys: who may speak for a tenant, or for the platform, and on which part of it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.keys.permissions import Permission


class KeyStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


class ApiKey(models.Model):
    """A key lives in its tenant's schema, a platform key in `public`. The secret itself is kept nowhere."""

    key_id = models.TextField(primary_key=True)
    name = models.TextField(blank=True, default="")
    digest = models.BinaryField(help_text="HMAC-SHA-256 of the secret under the pepper.")
    pepper_version = models.SmallIntegerField(
        help_text="Names the pepper of `digest`: before a secret is dropped, its keys are found by it."
    )
    previous_digest = models.BinaryField(null=True)
    previous_expires_at = models.DateTimeField(
        null=True, help_text="Until then the secret before the rotation works too."
    )
    permissions = ArrayField(models.TextField(choices=Permission))
    scope_filter = ArrayField(
        models.TextField(), default=list, help_text="Scope paths it is confined to; empty for all."
    )
    status = models.TextField(choices=KeyStatus, default=KeyStatus.ACTIVE)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "api_key"

    def __str__(self) -> str:
        return f"{self.key_id} {self.name}".rstrip()

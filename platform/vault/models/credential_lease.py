"""Leases of credentials that were handed out: whose they are, until when, and what their back end calls them."""

from django.db import models

from kernel.ids import uuid7


class CredentialLease(models.Model):
    """Lives in its tenant's schema. Nothing of the secret: the trail is the audit's, and this row goes after a week.

    `store_lease_id` is how the back end knows what it made for this lease alone. It opens nothing, and is emptied once
    nothing is left there to be ended.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference_id = models.UUIDField()
    decision_id = models.UUIDField(help_text="The decision that it stands on.")
    path = models.TextField(help_text="The template that was resolved; with the two below it says which secret.")
    key = models.TextField(blank=True, default="")
    version = models.TextField(blank=True, default="")
    leased_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Until then whoever leased it may use it.")
    ended_at = models.DateTimeField(null=True, help_text="When it was given back, or ended by somebody else.")
    renewals = models.IntegerField(default=0)
    store_lease_id = models.TextField(blank=True, default="")
    store_ends_at = models.DateTimeField(null=True, help_text="When the back end ends it by itself.")

    class Meta:
        db_table = "credential_lease"
        indexes = [
            models.Index(fields=["decision_id"], name="credential_lease_decision"),
            models.Index(fields=["expires_at"], name="credential_lease_expires"),
            models.Index(
                fields=["store_ends_at"], condition=~models.Q(store_lease_id=""), name="credential_lease_at_store"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} until {self.expires_at:%Y-%m-%d %H:%M:%S}"
